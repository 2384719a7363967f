-- Roles for a service on PostgreSQL that may not change its own tables.
--
-- Run as the owner of the database, in it, after `keyhaven serve` has made the tables once as that owner, and again after
-- every update of the program that brought a step of the schema:
--
--     psql -d keyhaven -f postgresql-roles.sql
--
-- Then give the roles a way to sign in (`ALTER ROLE vault_app LOGIN PASSWORD ...`) and start the service as `vault_app`.
-- What is append-only is so twice: by these privileges, and by triggers that hold for every role, the owner's too.

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'vault_app') THEN CREATE ROLE vault_app NOLOGIN; END IF;
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'vault_purge') THEN CREATE ROLE vault_purge NOLOGIN; END IF;
END $$;

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, vault_app, vault_purge;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO vault_app, vault_purge;

-- The service. It reads everything, and changes what is not append-only.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO vault_app;
DO $$
DECLARE guarded record;
BEGIN
  FOR guarded IN
    SELECT tgrelid::regclass AS name, CASE WHEN tgname LIKE '%\_no\_update' THEN 'UPDATE' ELSE 'DELETE' END AS what
    FROM pg_trigger WHERE tgname LIKE '%\_no\_update' OR tgname LIKE '%\_no\_delete'
  LOOP
    EXECUTE format('REVOKE %s ON %s FROM vault_app', guarded.what, guarded.name);
  END LOOP;
END $$;
-- Nobody signs off an account or its statements by deleting them.
REVOKE DELETE ON accounts, key_statements, audit_heads FROM vault_app;
-- An entry gets its place in the global log later, once; a trigger sees to that.
GRANT UPDATE (log_index) ON audit TO vault_app;
-- What may be purged is not the service's to say, and neither is which schema this is.
REVOKE INSERT, UPDATE, DELETE ON purge_window, purged, _sqlx_migrations FROM vault_app;

-- What deletes records after their hold ended. It reads no ciphertext, no password record and no factor.
GRANT SELECT, INSERT, DELETE ON purge_window TO vault_purge;
GRANT SELECT, DELETE ON record_state, record_index TO vault_purge;
GRANT SELECT (account_id, record_id, audit_seq), DELETE ON receipts TO vault_purge;
GRANT SELECT (account_id, record_id), DELETE ON record_copies, record_notes TO vault_purge;
GRANT SELECT (account_id, id, supersedes, received_at), DELETE ON records TO vault_purge;
GRANT SELECT (account_id, record_id), DELETE ON orders TO vault_purge;
GRANT SELECT, INSERT ON purged TO vault_purge;
-- It ends the delay itself: nobody else says that it is over.
GRANT SELECT, UPDATE (state, ended_at, session_hash) ON waits TO vault_purge;
-- With an account goes what opens it; the account's address becomes free.
GRANT SELECT (id, state, epoch), UPDATE (state, email_norm, opaque_record, off_at, epoch) ON accounts TO vault_purge;
GRANT SELECT (account_id), DELETE ON
  slots, factors, backup_codes, sessions, grants, device_codes, devices, key_statements TO vault_purge;
-- Every purge is an entry of the account's chain, and its owner is told.
GRANT SELECT, INSERT ON audit TO vault_purge;
GRANT SELECT, UPDATE ON audit_heads TO vault_purge;
GRANT SELECT (id), INSERT ON outbox_mail TO vault_purge;
