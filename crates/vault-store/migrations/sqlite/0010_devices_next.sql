-- The name an owner gives a device, sealed: NULL for the one in its certificate.
ALTER TABLE devices ADD COLUMN label_sealed BLOB;

-- Rotation orders. One that is not done is the only one of its record.
CREATE TABLE orders (
  id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  account_id BLOB NOT NULL REFERENCES accounts (id),
  device_id BLOB NOT NULL,
  record_id BLOB NOT NULL,
  body BLOB NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'taken', 'done', 'failed')),
  report BLOB,
  expires_at INTEGER NOT NULL,
  at INTEGER NOT NULL
) STRICT;
CREATE INDEX orders_by_device ON orders (account_id, device_id, state);
CREATE UNIQUE INDEX orders_one_open ON orders (account_id, record_id) WHERE state IN ('open', 'taken');

-- The newest note of a device about a record.
CREATE TABLE record_notes (
  account_id BLOB NOT NULL,
  record_id BLOB NOT NULL,
  device_id BLOB NOT NULL,
  finding TEXT NOT NULL,
  body BLOB NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (account_id, record_id)
) STRICT;

-- Records that were found damaged and sent again by their author. The damaged row stays; the newest copy counts.
CREATE TABLE record_copies (
  account_id BLOB NOT NULL,
  record_id BLOB NOT NULL,
  n INTEGER NOT NULL CHECK (n >= 1),
  header BLOB NOT NULL,
  meta BLOB NOT NULL,
  secret BLOB NOT NULL,
  signature BLOB NOT NULL,
  body_sha256 BLOB NOT NULL CHECK (length(body_sha256) = 32),
  received_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, record_id, n)
) STRICT;
CREATE TRIGGER record_copies_no_update BEFORE UPDATE ON record_copies BEGIN SELECT RAISE(ABORT, 'append only'); END;
CREATE TRIGGER record_copies_no_delete BEFORE DELETE ON record_copies WHEN NOT EXISTS (SELECT 1 FROM purge_window
  WHERE account_id = OLD.account_id AND record_id = OLD.record_id) BEGIN SELECT RAISE(ABORT, 'append only'); END;
