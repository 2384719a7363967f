-- The global log: a tree over the hashes of all audit entries. It only grows.

-- Its size and root, and the signed checkpoint that says so. One row.
CREATE TABLE log_heads (
  id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
  size INTEGER NOT NULL CHECK (size >= 0),
  root BLOB NOT NULL CHECK (length(root) = 32),
  note TEXT NOT NULL
) STRICT;
CREATE TRIGGER log_heads_grow BEFORE UPDATE ON log_heads WHEN NEW.size <= OLD.size
BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER log_heads_no_delete BEFORE DELETE ON log_heads BEGIN SELECT RAISE(ABORT, 'append only'); END;

-- Its nodes, every eighth row, in runs of up to 256.
CREATE TABLE log_tiles (
  level INTEGER NOT NULL CHECK (level >= 0),
  number INTEGER NOT NULL CHECK (number >= 0),
  hashes BLOB NOT NULL CHECK (length(hashes) BETWEEN 32 AND 8192 AND length(hashes) % 32 = 0),
  PRIMARY KEY (level, number)
) STRICT;
CREATE TRIGGER log_tiles_grow BEFORE UPDATE ON log_tiles
WHEN NEW.level IS NOT OLD.level OR NEW.number IS NOT OLD.number
  OR substr(NEW.hashes, 1, length(OLD.hashes)) IS NOT OLD.hashes
BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER log_tiles_no_delete BEFORE DELETE ON log_tiles BEGIN SELECT RAISE(ABORT, 'append only'); END;

-- Entries that wait for their place, and no place twice.
CREATE INDEX audit_unlogged ON audit (account_id, seq) WHERE log_index IS NULL;
CREATE UNIQUE INDEX audit_by_log_index ON audit (log_index) WHERE log_index IS NOT NULL;
