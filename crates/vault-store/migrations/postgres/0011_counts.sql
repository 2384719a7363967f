-- How many live records an account has, beside the head of its chain: a save looks at one row instead of counting thousands.
-- It changes only together with the head.
ALTER TABLE audit_heads ADD COLUMN live BIGINT NOT NULL DEFAULT 0;
UPDATE audit_heads SET live =
  (SELECT COUNT(*) FROM record_state s WHERE s.account_id = audit_heads.account_id AND s.state = 'live');

-- The end of a device's certificate: a save does not read the certificate to learn it. No client made one that ends so far.
ALTER TABLE devices ADD COLUMN expires_at BIGINT;
