-- Which factor confirmed a step-up; NULL for a backup code. A factor is not removed on its own word while there is another.
ALTER TABLE grants ADD COLUMN confirmed_by BYTEA;
