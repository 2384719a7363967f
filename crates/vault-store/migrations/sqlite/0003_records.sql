-- Devices and what they saved. Records and audit entries can be added and never changed; a record can be deleted only
-- while the purge window of that one record is open, which happens after the 30-day hold ended.

CREATE TABLE devices (
  id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  account_id BLOB NOT NULL REFERENCES accounts (id),
  org_id BLOB,
  pk BLOB NOT NULL,
  alg TEXT NOT NULL,
  certificate BLOB NOT NULL,
  capability TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('active', 'revoked')),
  last_seq INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL,
  revoked_at INTEGER
) STRICT;
CREATE INDEX devices_by_account ON devices (account_id);

CREATE TABLE records (
  account_id BLOB NOT NULL CHECK (length(account_id) = 16) REFERENCES accounts (id),
  id BLOB NOT NULL CHECK (length(id) = 16),
  author_id BLOB NOT NULL CHECK (length(author_id) = 16),
  kind TEXT NOT NULL,
  header BLOB NOT NULL,
  meta BLOB NOT NULL,
  secret BLOB NOT NULL,
  signature BLOB NOT NULL,
  body_sha256 BLOB NOT NULL CHECK (length(body_sha256) = 32),
  supersedes BLOB,
  received_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, id)
) STRICT;

CREATE TABLE purge_window (
  account_id BLOB NOT NULL,
  record_id BLOB NOT NULL,
  until INTEGER NOT NULL,
  PRIMARY KEY (account_id, record_id)
) STRICT;

CREATE TRIGGER records_no_update BEFORE UPDATE ON records BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER records_no_delete BEFORE DELETE ON records WHEN NOT EXISTS (SELECT 1 FROM purge_window
  WHERE account_id = OLD.account_id AND record_id = OLD.id) BEGIN SELECT RAISE(ABORT, 'append only'); END;

CREATE TABLE record_state (
  account_id BLOB NOT NULL,
  record_id BLOB NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('live', 'superseded', 'retired', 'hidden')),
  revealed_at INTEGER,
  order_due INTEGER,
  verified_at INTEGER,
  delete_at INTEGER,
  PRIMARY KEY (account_id, record_id),
  FOREIGN KEY (account_id, record_id) REFERENCES records (account_id, id)
) STRICT;

-- `full` is a column name of the design and a keyword of SQL, hence the quotes.
CREATE TABLE record_index (
  scope TEXT NOT NULL,
  scope_id BLOB NOT NULL,
  "full" BLOB NOT NULL,
  account_id BLOB NOT NULL,
  record_id BLOB NOT NULL,
  prefix BLOB NOT NULL,
  PRIMARY KEY (scope, scope_id, "full", account_id, record_id),
  FOREIGN KEY (account_id, record_id) REFERENCES records (account_id, id)
) STRICT;
CREATE INDEX record_index_prefix ON record_index (scope, scope_id, prefix);

-- The receipt as it was issued: the same save sent again gets the same bytes, whatever keys the server has by then.
CREATE TABLE receipts (
  account_id BLOB NOT NULL,
  record_id BLOB NOT NULL,
  audit_seq INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (account_id, record_id),
  FOREIGN KEY (account_id, record_id) REFERENCES records (account_id, id)
) STRICT;
CREATE TRIGGER receipts_no_update BEFORE UPDATE ON receipts BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER receipts_no_delete BEFORE DELETE ON receipts WHEN NOT EXISTS (SELECT 1 FROM purge_window
  WHERE account_id = OLD.account_id AND record_id = OLD.record_id) BEGIN SELECT RAISE(ABORT, 'append only'); END;

CREATE TABLE audit (
  account_id BLOB NOT NULL CHECK (length(account_id) = 16) REFERENCES accounts (id),
  seq INTEGER NOT NULL CHECK (seq >= 1),
  prev BLOB NOT NULL CHECK (length(prev) = 32),
  hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
  body BLOB NOT NULL,
  log_index INTEGER,
  PRIMARY KEY (account_id, seq)
) STRICT;
-- Only the place in the global log may be filled in later, and only once.
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
WHEN OLD.log_index IS NOT NULL OR NEW.log_index IS NULL OR NEW.account_id IS NOT OLD.account_id
  OR NEW.seq IS NOT OLD.seq OR NEW.prev IS NOT OLD.prev OR NEW.hash IS NOT OLD.hash OR NEW.body IS NOT OLD.body
BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'append only'); END;

CREATE TABLE audit_heads (
  account_id BLOB NOT NULL PRIMARY KEY REFERENCES accounts (id),
  seq INTEGER NOT NULL,
  hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
