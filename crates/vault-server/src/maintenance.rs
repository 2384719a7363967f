//! What an operator does beside the running service: look at the settings, make a backup, restore one.

use std::path::Path;

use vault_store::{BackupError, Holdings};

use crate::config::{Config, Tls};
use crate::keys::{self, KeyFileError, ServerKeys};
use crate::net::check_files;
use crate::server::{StartError, make_private_folder};

/// Looks at the secrets and the certificate as a start would, and makes nothing.
///
/// # Errors
/// The first thing that a start would refuse.
pub fn inspect(config: &Config) -> Result<(), StartError> {
    let unusable = |source| StartError::Keys { path: config.key_file(), source };
    match &config.key_command {
        Some(command) => drop(ServerKeys::from_command(command.expose()).map_err(unusable)?),
        None if config.key_file().exists() => keys::check_private(&config.key_file()).map_err(unusable)?,
        None if config.database.is_none() && config.database_file().exists() => {
            return Err(unusable(KeyFileError::Missing));
        }
        // The first start makes them.
        None => {}
    }
    if let Some(Tls::Files { certificate, key }) = &config.network.tls {
        check_files(certificate, key).map_err(StartError::Tls)?;
    }
    Ok(())
}

/// Copies the database file to a new file; the service may go on meanwhile. The server's secrets are not in it.
///
/// # Errors
/// [`BackupError`]; then there is no file of that name.
pub async fn back_up(config: &Config, to: &Path) -> Result<Holdings, BackupError> {
    vault_store::back_up(&config.database_file(), to).await
}

/// Puts a backup into the data folder, which must not have a database.
///
/// # Errors
/// [`BackupError`]; then there is no database in the folder.
pub async fn restore(config: &Config, from: &Path) -> Result<Holdings, BackupError> {
    make_private_folder(config).map_err(|source| BackupError::File { path: config.data_dir.clone(), source })?;
    vault_store::restore(from, &config.database_file()).await
}
