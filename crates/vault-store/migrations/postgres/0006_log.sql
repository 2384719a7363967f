-- The global log: a tree over the hashes of all audit entries. It only grows.

-- Its size and root, and the signed checkpoint that says so. One row.
CREATE TABLE log_heads (
  id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
  size BIGINT NOT NULL CHECK (size >= 0),
  root BYTEA NOT NULL CHECK (length(root) = 32),
  note TEXT NOT NULL
);
CREATE TRIGGER log_heads_grow BEFORE UPDATE ON log_heads FOR EACH ROW WHEN (NEW.size <= OLD.size)
EXECUTE FUNCTION append_only();
CREATE TRIGGER log_heads_no_delete BEFORE DELETE ON log_heads FOR EACH ROW EXECUTE FUNCTION append_only();

-- Its nodes, every eighth row, in runs of up to 256.
CREATE TABLE log_tiles (
  level BIGINT NOT NULL CHECK (level >= 0),
  number BIGINT NOT NULL CHECK (number >= 0),
  hashes BYTEA NOT NULL CHECK (length(hashes) BETWEEN 32 AND 8192 AND length(hashes) % 32 = 0),
  PRIMARY KEY (level, number)
);
CREATE TRIGGER log_tiles_grow BEFORE UPDATE ON log_tiles FOR EACH ROW
WHEN (NEW.level IS DISTINCT FROM OLD.level OR NEW.number IS DISTINCT FROM OLD.number
  OR substring(NEW.hashes FROM 1 FOR length(OLD.hashes)) IS DISTINCT FROM OLD.hashes)
EXECUTE FUNCTION append_only();
CREATE TRIGGER log_tiles_no_delete BEFORE DELETE ON log_tiles FOR EACH ROW EXECUTE FUNCTION append_only();

-- Entries that wait for their place, and no place twice.
CREATE INDEX audit_unlogged ON audit (account_id, seq) WHERE log_index IS NULL;
CREATE UNIQUE INDEX audit_by_log_index ON audit (log_index) WHERE log_index IS NOT NULL;
