-- Accounts, the public keys they vouch for, and the slots that open them.
-- Times are milliseconds since 1970 (UTC). Identifiers are 16 bytes. Nothing here opens an envelope: `wrap_c` and
-- `wrap_v` are ciphertext under keys that only clients derive.

CREATE TABLE accounts (
  id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  email_norm TEXT NOT NULL UNIQUE,
  opaque_record BLOB NOT NULL,
  kdf_profile INTEGER NOT NULL,
  generation INTEGER NOT NULL CHECK (generation >= 1),
  epoch INTEGER NOT NULL CHECK (epoch >= 1),
  state TEXT NOT NULL CHECK (state IN ('active', 'closed')),
  two_factor INTEGER NOT NULL CHECK (two_factor IN (0, 1)),
  off_at INTEGER,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE key_statements (
  account_id BLOB NOT NULL REFERENCES accounts (id),
  generation INTEGER NOT NULL,
  body BLOB NOT NULL,
  signature BLOB NOT NULL,
  previous_signature BLOB,
  hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
  PRIMARY KEY (account_id, generation)
) STRICT;

CREATE TABLE slots (
  id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  account_id BLOB NOT NULL REFERENCES accounts (id),
  kind TEXT NOT NULL,
  salt BLOB NOT NULL,
  wrap_c BLOB NOT NULL,
  wrap_v BLOB NOT NULL,
  credential_id BLOB,
  proof_hash BLOB,
  generation INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  retired_at INTEGER
) STRICT;
CREATE INDEX slots_by_account ON slots (account_id);

-- An invite stands in for the mailed code where the service sends no mail.
CREATE TABLE invites (
  hash BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  used_at INTEGER
) STRICT;

CREATE TABLE factors (
  id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  account_id BLOB NOT NULL REFERENCES accounts (id),
  kind TEXT NOT NULL,
  label TEXT NOT NULL,
  data_sealed BLOB NOT NULL,
  last_step INTEGER,
  counter INTEGER,
  created_at INTEGER NOT NULL,
  used_at INTEGER
) STRICT;
CREATE INDEX factors_by_account ON factors (account_id);
