-- Notices that wait to be sent. Address, subject and text are sealed with a key of the server that is not here: a mailed
-- code cannot be read from these rows. `next_at` is both when to try next and, while one process tries, until when it has
-- to itself; `tries` tells apart whose turn it was. A row goes once its notice is out, or is of no use any more.
CREATE TABLE outbox_mail (
  id BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  sealed BYTEA NOT NULL,
  created_at BIGINT NOT NULL,
  next_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  tries BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX outbox_mail_next ON outbox_mail (next_at);
