-- Safety delays: two-factor that is to go off, lost factors that are to be reset, deletions. When a delay ends is written
-- once and can be neither moved nor taken back to running once it has ended; `next_at` is when the service looks at it
-- next. Who has the code behind `cancel_hash` can cancel it, and do nothing else.
CREATE TABLE waits (
  id BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  account_id BYTEA NOT NULL REFERENCES accounts (id),
  kind TEXT NOT NULL CHECK (kind IN ('two-factor-off', 'factor-reset', 'delete-record', 'delete-account')),
  target TEXT NOT NULL,
  begun_by TEXT NOT NULL CHECK (begun_by IN ('owner', 'operator', 'unknown')),
  begun_at BIGINT NOT NULL,
  due_at BIGINT NOT NULL CHECK (due_at > begun_at),
  next_at BIGINT NOT NULL,
  cancel_hash BYTEA NOT NULL UNIQUE CHECK (length(cancel_hash) = 32),
  session_hash BYTEA,
  state TEXT NOT NULL CHECK (state IN ('running', 'cancelled', 'done', 'lapsed')),
  ended_at BIGINT
);
CREATE UNIQUE INDEX waits_running ON waits (account_id, kind, target) WHERE state = 'running';
CREATE INDEX waits_next ON waits (next_at) WHERE state = 'running';
CREATE INDEX waits_by_account ON waits (account_id, kind, begun_at);
CREATE FUNCTION waits_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'delays stay as they are'; END $$;
CREATE TRIGGER waits_stay BEFORE UPDATE ON waits FOR EACH ROW
WHEN (OLD.state <> 'running' OR NEW.id IS DISTINCT FROM OLD.id OR NEW.account_id IS DISTINCT FROM OLD.account_id
  OR NEW.kind IS DISTINCT FROM OLD.kind OR NEW.target IS DISTINCT FROM OLD.target
  OR NEW.begun_by IS DISTINCT FROM OLD.begun_by OR NEW.begun_at IS DISTINCT FROM OLD.begun_at
  OR NEW.due_at IS DISTINCT FROM OLD.due_at OR NEW.cancel_hash IS DISTINCT FROM OLD.cancel_hash)
EXECUTE FUNCTION waits_stay();
CREATE TRIGGER waits_no_delete BEFORE DELETE ON waits FOR EACH ROW EXECUTE FUNCTION waits_stay();

-- The latest time the service has seen. A delay begins at it when the clock was set back: it ends no sooner for that.
CREATE TABLE latest_time (
  one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
  at BIGINT NOT NULL
);
INSERT INTO latest_time (one, at) VALUES (1, 0);
