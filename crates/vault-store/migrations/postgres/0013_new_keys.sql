-- A kind of delay more: `new-keys`, where password and kit are lost.
ALTER TABLE waits DROP CONSTRAINT waits_kind_check;
ALTER TABLE waits ADD CONSTRAINT waits_kind_check
  CHECK (kind IN ('two-factor-off', 'factor-reset', 'new-keys', 'delete-record', 'delete-account'));
