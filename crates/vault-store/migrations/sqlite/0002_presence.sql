-- What is short-lived: sessions, ceremonies between two calls, step-up grants, enrolment codes, counters.
-- Bearer tokens, grants and device codes are stored as SHA-256 only.

CREATE TABLE sessions (
  token_hash BLOB NOT NULL PRIMARY KEY CHECK (length(token_hash) = 32),
  account_id BLOB NOT NULL REFERENCES accounts (id),
  epoch INTEGER NOT NULL,
  level TEXT NOT NULL CHECK (level IN ('enrol', 'full')),
  created_at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  net TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_by_account ON sessions (account_id);

-- `account_id` is NULL, or names nobody, while a sign-in for an unknown mail is being played through: no foreign key.
CREATE TABLE ceremonies (
  id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  kind TEXT NOT NULL,
  account_id BLOB,
  state_sealed BLOB NOT NULL,
  expires_at INTEGER NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0,
  used INTEGER NOT NULL DEFAULT 0 CHECK (used IN (0, 1))
) STRICT;

CREATE TABLE grants (
  hash BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
  account_id BLOB NOT NULL REFERENCES accounts (id),
  session_hash BLOB NOT NULL,
  purpose TEXT NOT NULL,
  target TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  used_at INTEGER
) STRICT;

CREATE TABLE device_codes (
  hash BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
  user_code TEXT NOT NULL UNIQUE,
  device_pk BLOB NOT NULL,
  alg TEXT NOT NULL,
  box_pk BLOB NOT NULL,
  nonce BLOB NOT NULL,
  request BLOB NOT NULL,
  tag_h BLOB,
  account_id BLOB REFERENCES accounts (id),
  answer BLOB,
  state TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'failed')),
  tries INTEGER NOT NULL DEFAULT 0,
  polled_at INTEGER,
  expires_at INTEGER NOT NULL
) STRICT;

-- What must not change between two starts, such as the origin that every password proof is bound to.
CREATE TABLE settings (
  name TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;

-- One row per limit and time window; `window` is where the window starts (quoted: a keyword elsewhere).
CREATE TABLE counters (
  bucket TEXT NOT NULL,
  "window" INTEGER NOT NULL,
  n INTEGER NOT NULL,
  PRIMARY KEY (bucket, "window")
) STRICT;
