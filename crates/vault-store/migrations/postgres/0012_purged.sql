-- Records that their owner had deleted, after the hold: a device that still has the envelope is told so, and none of them comes
-- back by a save that is sent again.
CREATE TABLE purged (
  account_id BYTEA NOT NULL CHECK (length(account_id) = 16),
  record_id BYTEA NOT NULL CHECK (length(record_id) = 16),
  at BIGINT NOT NULL,
  PRIMARY KEY (account_id, record_id)
);
CREATE TRIGGER purged_no_update BEFORE UPDATE ON purged FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER purged_no_delete BEFORE DELETE ON purged FOR EACH ROW EXECUTE FUNCTION append_only();
