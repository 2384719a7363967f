-- Passkeys: factors with a credential identifier of their own, which no two factors of the whole service share. Their public
-- keys lie in `data_sealed`, the signature counter in `counter`. A slot that a passkey opens names it in `slots.credential_id`.
ALTER TABLE factors ADD COLUMN credential_id BLOB;
CREATE UNIQUE INDEX factors_by_credential ON factors (credential_id);
-- Since when a passkey opens no vault any more, because key material that it derives was seen outside its client: it derives the
-- same again.
ALTER TABLE factors ADD COLUMN prf_leaked_at INTEGER;
