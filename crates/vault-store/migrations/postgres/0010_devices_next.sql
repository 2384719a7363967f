-- The name an owner gives a device, sealed: NULL for the one in its certificate.
ALTER TABLE devices ADD COLUMN label_sealed BYTEA;

-- Rotation orders. One that is not done is the only one of its record.
CREATE TABLE orders (
  id BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  account_id BYTEA NOT NULL REFERENCES accounts (id),
  device_id BYTEA NOT NULL,
  record_id BYTEA NOT NULL,
  body BYTEA NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'taken', 'done', 'failed')),
  report BYTEA,
  expires_at BIGINT NOT NULL,
  at BIGINT NOT NULL
);
CREATE INDEX orders_by_device ON orders (account_id, device_id, state);
CREATE UNIQUE INDEX orders_one_open ON orders (account_id, record_id) WHERE state IN ('open', 'taken');

-- The newest note of a device about a record.
CREATE TABLE record_notes (
  account_id BYTEA NOT NULL,
  record_id BYTEA NOT NULL,
  device_id BYTEA NOT NULL,
  finding TEXT NOT NULL,
  body BYTEA NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (account_id, record_id)
);

-- Records that were found damaged and sent again by their author. The damaged row stays; the newest copy counts.
CREATE TABLE record_copies (
  account_id BYTEA NOT NULL,
  record_id BYTEA NOT NULL,
  n BIGINT NOT NULL CHECK (n >= 1),
  header BYTEA NOT NULL,
  meta BYTEA NOT NULL,
  secret BYTEA NOT NULL,
  signature BYTEA NOT NULL,
  body_sha256 BYTEA NOT NULL CHECK (length(body_sha256) = 32),
  received_at BIGINT NOT NULL,
  PRIMARY KEY (account_id, record_id, n)
);
CREATE TRIGGER record_copies_no_update BEFORE UPDATE ON record_copies FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER record_copies_no_delete BEFORE DELETE ON record_copies
FOR EACH ROW EXECUTE FUNCTION receipt_unless_purged();
