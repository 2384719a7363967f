-- What is short-lived: sessions, ceremonies between two calls, step-up grants, enrolment codes, counters.
-- Bearer tokens, grants and device codes are stored as SHA-256 only.

CREATE TABLE sessions (
  token_hash BYTEA NOT NULL PRIMARY KEY CHECK (length(token_hash) = 32),
  account_id BYTEA NOT NULL REFERENCES accounts (id),
  epoch BIGINT NOT NULL,
  level TEXT NOT NULL CHECK (level IN ('enrol', 'full')),
  created_at BIGINT NOT NULL,
  seen_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  net TEXT NOT NULL
);
CREATE INDEX sessions_by_account ON sessions (account_id);

-- `account_id` is NULL, or names nobody, while a sign-in for an unknown mail is being played through: no foreign key.
CREATE TABLE ceremonies (
  id BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  kind TEXT NOT NULL,
  account_id BYTEA,
  state_sealed BYTEA NOT NULL,
  expires_at BIGINT NOT NULL,
  tries BIGINT NOT NULL DEFAULT 0,
  used BOOLEAN NOT NULL DEFAULT FALSE
);

CREATE TABLE grants (
  hash BYTEA NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
  account_id BYTEA NOT NULL REFERENCES accounts (id),
  session_hash BYTEA NOT NULL,
  purpose TEXT NOT NULL,
  target TEXT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_at BIGINT
);

CREATE TABLE device_codes (
  hash BYTEA NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
  user_code TEXT NOT NULL UNIQUE,
  device_pk BYTEA NOT NULL,
  alg TEXT NOT NULL,
  box_pk BYTEA NOT NULL,
  nonce BYTEA NOT NULL,
  request BYTEA NOT NULL,
  tag_h BYTEA,
  account_id BYTEA REFERENCES accounts (id),
  answer BYTEA,
  state TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'failed')),
  tries BIGINT NOT NULL DEFAULT 0,
  polled_at BIGINT,
  expires_at BIGINT NOT NULL
);

-- What must not change between two starts, such as the origin that every password proof is bound to.
CREATE TABLE settings (
  name TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
);

-- One row per limit and time window; `window` is where the window starts (quoted: a keyword elsewhere).
CREATE TABLE counters (
  bucket TEXT NOT NULL,
  "window" BIGINT NOT NULL,
  n BIGINT NOT NULL,
  PRIMARY KEY (bucket, "window")
);
