-- A kind of delay more: `new-keys`, where password and kit are lost. SQLite changes no check of a table that is there: the rows
-- move into a table with the new one, and everything else about it is as it was.
CREATE TABLE waits_wider (
  id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  account_id BLOB NOT NULL REFERENCES accounts (id),
  kind TEXT NOT NULL CHECK (kind IN ('two-factor-off', 'factor-reset', 'new-keys', 'delete-record', 'delete-account')),
  target TEXT NOT NULL,
  begun_by TEXT NOT NULL CHECK (begun_by IN ('owner', 'operator', 'unknown')),
  begun_at INTEGER NOT NULL,
  due_at INTEGER NOT NULL CHECK (due_at > begun_at),
  next_at INTEGER NOT NULL,
  cancel_hash BLOB NOT NULL UNIQUE CHECK (length(cancel_hash) = 32),
  session_hash BLOB,
  state TEXT NOT NULL CHECK (state IN ('running', 'cancelled', 'done', 'lapsed')),
  ended_at INTEGER
) STRICT;
INSERT INTO waits_wider
  (id, account_id, kind, target, begun_by, begun_at, due_at, next_at, cancel_hash, session_hash, state, ended_at)
SELECT id, account_id, kind, target, begun_by, begun_at, due_at, next_at, cancel_hash, session_hash, state, ended_at
FROM waits;
DROP TABLE waits;
ALTER TABLE waits_wider RENAME TO waits;
CREATE UNIQUE INDEX waits_running ON waits (account_id, kind, target) WHERE state = 'running';
CREATE INDEX waits_next ON waits (next_at) WHERE state = 'running';
CREATE INDEX waits_by_account ON waits (account_id, kind, begun_at);
CREATE TRIGGER waits_stay BEFORE UPDATE ON waits
WHEN OLD.state <> 'running' OR NEW.id IS NOT OLD.id OR NEW.account_id IS NOT OLD.account_id OR NEW.kind IS NOT OLD.kind
  OR NEW.target IS NOT OLD.target OR NEW.begun_by IS NOT OLD.begun_by OR NEW.begun_at IS NOT OLD.begun_at
  OR NEW.due_at IS NOT OLD.due_at OR NEW.cancel_hash IS NOT OLD.cancel_hash
BEGIN SELECT RAISE(ABORT, 'delays stay as they are'); END;
CREATE TRIGGER waits_no_delete BEFORE DELETE ON waits BEGIN SELECT RAISE(ABORT, 'delays stay as they are'); END;
