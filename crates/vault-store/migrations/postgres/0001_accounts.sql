-- Accounts, the public keys they vouch for, and the slots that open them.
-- Times are milliseconds since 1970 (UTC). Identifiers are 16 bytes. Nothing here opens an envelope: `wrap_c` and
-- `wrap_v` are ciphertext under keys that only clients derive.

CREATE TABLE accounts (
  id BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  email_norm TEXT NOT NULL UNIQUE,
  opaque_record BYTEA NOT NULL,
  kdf_profile BIGINT NOT NULL,
  generation BIGINT NOT NULL CHECK (generation >= 1),
  epoch BIGINT NOT NULL CHECK (epoch >= 1),
  state TEXT NOT NULL CHECK (state IN ('active', 'closed')),
  two_factor BOOLEAN NOT NULL,
  off_at BIGINT,
  created_at BIGINT NOT NULL
);

CREATE TABLE key_statements (
  account_id BYTEA NOT NULL REFERENCES accounts (id),
  generation BIGINT NOT NULL,
  body BYTEA NOT NULL,
  signature BYTEA NOT NULL,
  previous_signature BYTEA,
  hash BYTEA NOT NULL UNIQUE CHECK (length(hash) = 32),
  PRIMARY KEY (account_id, generation)
);

CREATE TABLE slots (
  id BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  account_id BYTEA NOT NULL REFERENCES accounts (id),
  kind TEXT NOT NULL,
  salt BYTEA NOT NULL,
  wrap_c BYTEA NOT NULL,
  wrap_v BYTEA NOT NULL,
  credential_id BYTEA,
  proof_hash BYTEA,
  generation BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  retired_at BIGINT
);
CREATE INDEX slots_by_account ON slots (account_id);

-- An invite stands in for the mailed code where the service sends no mail.
CREATE TABLE invites (
  hash BYTEA NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at BIGINT
);

CREATE TABLE factors (
  id BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  account_id BYTEA NOT NULL REFERENCES accounts (id),
  kind TEXT NOT NULL,
  label TEXT NOT NULL,
  data_sealed BYTEA NOT NULL,
  last_step BIGINT,
  counter BIGINT,
  created_at BIGINT NOT NULL,
  used_at BIGINT
);
CREATE INDEX factors_by_account ON factors (account_id);
