-- Notices that wait to be sent. Address, subject and text are sealed with a key of the server that is not here: a mailed
-- code cannot be read from these rows. `next_at` is both when to try next and, while one process tries, until when it has
-- to itself; `tries` tells apart whose turn it was. A row goes once its notice is out, or is of no use any more.
CREATE TABLE outbox_mail (
  id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  sealed BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  next_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX outbox_mail_next ON outbox_mail (next_at);
