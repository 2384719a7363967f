-- One-time backup codes, as HMACs under a key of the server that is not in the database: who has only the rows cannot
-- even test a guess. Making new ones replaces all rows of the account.
CREATE TABLE backup_codes (
  account_id BLOB NOT NULL REFERENCES accounts (id),
  n INTEGER NOT NULL CHECK (n >= 1),
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  created_at INTEGER NOT NULL,
  used_at INTEGER,
  PRIMARY KEY (account_id, n),
  UNIQUE (account_id, hash)
) STRICT;

-- Sessions get a third level: 'factors' may add a factor and nothing else, though the account has some already. A rule of
-- a column cannot be changed in place; no table refers to this one.
CREATE TABLE sessions_next (
  token_hash BLOB NOT NULL PRIMARY KEY CHECK (length(token_hash) = 32),
  account_id BLOB NOT NULL REFERENCES accounts (id),
  epoch INTEGER NOT NULL,
  level TEXT NOT NULL CHECK (level IN ('enrol', 'factors', 'full')),
  created_at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  net TEXT NOT NULL
) STRICT;
INSERT INTO sessions_next SELECT token_hash, account_id, epoch, level, created_at, seen_at, expires_at, net FROM sessions;
DROP TABLE sessions;
ALTER TABLE sessions_next RENAME TO sessions;
CREATE INDEX sessions_by_account ON sessions (account_id);
