-- Records that their owner had deleted, after the hold: a device that still has the envelope is told so, and none of them comes
-- back by a save that is sent again.
CREATE TABLE purged (
  account_id BLOB NOT NULL CHECK (length(account_id) = 16),
  record_id BLOB NOT NULL CHECK (length(record_id) = 16),
  at INTEGER NOT NULL,
  PRIMARY KEY (account_id, record_id)
) STRICT;
CREATE TRIGGER purged_no_update BEFORE UPDATE ON purged BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER purged_no_delete BEFORE DELETE ON purged BEGIN SELECT RAISE(ABORT, 'append only'); END;
