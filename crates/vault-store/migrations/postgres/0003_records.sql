-- Devices and what they saved. Records and audit entries can be added and never changed; a record can be deleted only
-- while the purge window of that one record is open, which happens after the 30-day hold ended.

CREATE TABLE devices (
  id BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  account_id BYTEA NOT NULL REFERENCES accounts (id),
  org_id BYTEA,
  pk BYTEA NOT NULL,
  alg TEXT NOT NULL,
  certificate BYTEA NOT NULL,
  capability TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('active', 'revoked')),
  last_seq BIGINT NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL,
  seen_at BIGINT NOT NULL,
  revoked_at BIGINT
);
CREATE INDEX devices_by_account ON devices (account_id);

CREATE TABLE records (
  account_id BYTEA NOT NULL CHECK (length(account_id) = 16) REFERENCES accounts (id),
  id BYTEA NOT NULL CHECK (length(id) = 16),
  author_id BYTEA NOT NULL CHECK (length(author_id) = 16),
  kind TEXT NOT NULL,
  header BYTEA NOT NULL,
  meta BYTEA NOT NULL,
  secret BYTEA NOT NULL,
  signature BYTEA NOT NULL,
  body_sha256 BYTEA NOT NULL CHECK (length(body_sha256) = 32),
  supersedes BYTEA,
  received_at BIGINT NOT NULL,
  PRIMARY KEY (account_id, id)
);

CREATE TABLE purge_window (
  account_id BYTEA NOT NULL,
  record_id BYTEA NOT NULL,
  until BIGINT NOT NULL,
  PRIMARY KEY (account_id, record_id)
);

CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'append only'; END $$;
CREATE FUNCTION record_unless_purged() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM purge_window WHERE account_id = OLD.account_id AND record_id = OLD.id) THEN
    RAISE EXCEPTION 'append only';
  END IF;
  RETURN OLD;
END $$;
CREATE FUNCTION receipt_unless_purged() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM purge_window WHERE account_id = OLD.account_id AND record_id = OLD.record_id) THEN
    RAISE EXCEPTION 'append only';
  END IF;
  RETURN OLD;
END $$;
CREATE TRIGGER records_no_update BEFORE UPDATE ON records FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER records_no_delete BEFORE DELETE ON records FOR EACH ROW EXECUTE FUNCTION record_unless_purged();

CREATE TABLE record_state (
  account_id BYTEA NOT NULL,
  record_id BYTEA NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('live', 'superseded', 'retired', 'hidden')),
  revealed_at BIGINT,
  order_due BIGINT,
  verified_at BIGINT,
  delete_at BIGINT,
  PRIMARY KEY (account_id, record_id),
  FOREIGN KEY (account_id, record_id) REFERENCES records (account_id, id)
);

-- `full` is a column name of the design and a keyword of SQL, hence the quotes.
CREATE TABLE record_index (
  scope TEXT NOT NULL,
  scope_id BYTEA NOT NULL,
  "full" BYTEA NOT NULL,
  account_id BYTEA NOT NULL,
  record_id BYTEA NOT NULL,
  prefix BYTEA NOT NULL,
  PRIMARY KEY (scope, scope_id, "full", account_id, record_id),
  FOREIGN KEY (account_id, record_id) REFERENCES records (account_id, id)
);
CREATE INDEX record_index_prefix ON record_index (scope, scope_id, prefix);

-- The receipt as it was issued: the same save sent again gets the same bytes, whatever keys the server has by then.
CREATE TABLE receipts (
  account_id BYTEA NOT NULL,
  record_id BYTEA NOT NULL,
  audit_seq BIGINT NOT NULL,
  body BYTEA NOT NULL,
  PRIMARY KEY (account_id, record_id),
  FOREIGN KEY (account_id, record_id) REFERENCES records (account_id, id)
);
CREATE TRIGGER receipts_no_update BEFORE UPDATE ON receipts FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER receipts_no_delete BEFORE DELETE ON receipts FOR EACH ROW EXECUTE FUNCTION receipt_unless_purged();

CREATE TABLE audit (
  account_id BYTEA NOT NULL CHECK (length(account_id) = 16) REFERENCES accounts (id),
  seq BIGINT NOT NULL CHECK (seq >= 1),
  prev BYTEA NOT NULL CHECK (length(prev) = 32),
  hash BYTEA NOT NULL UNIQUE CHECK (length(hash) = 32),
  body BYTEA NOT NULL,
  log_index BIGINT,
  PRIMARY KEY (account_id, seq)
);
-- Only the place in the global log may be filled in later, and only once.
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit FOR EACH ROW
WHEN (OLD.log_index IS NOT NULL OR NEW.log_index IS NULL OR NEW.account_id IS DISTINCT FROM OLD.account_id
  OR NEW.seq IS DISTINCT FROM OLD.seq OR NEW.prev IS DISTINCT FROM OLD.prev OR NEW.hash IS DISTINCT FROM OLD.hash
  OR NEW.body IS DISTINCT FROM OLD.body)
EXECUTE FUNCTION append_only();
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit FOR EACH ROW EXECUTE FUNCTION append_only();

CREATE TABLE audit_heads (
  account_id BYTEA NOT NULL PRIMARY KEY REFERENCES accounts (id),
  seq BIGINT NOT NULL,
  hash BYTEA NOT NULL CHECK (length(hash) = 32)
);
