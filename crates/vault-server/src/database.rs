//! Which database the service keeps everything in.

use std::sync::Arc;

use vault_store::{Error, PostgresStore, SqliteStore, Store, WriteTimes};

use crate::config::Config;

/// An open database.
#[derive(Debug, Clone)]
pub(crate) enum Database {
    /// The file in the data folder.
    File(SqliteStore),
    /// A server of its own.
    Postgres(PostgresStore),
}

impl Database {
    pub(crate) async fn open(config: &Config) -> Result<Self, Error> {
        Ok(match &config.database {
            None => Self::File(SqliteStore::open(&config.database_file()).await?),
            Some(url) => {
                let store = PostgresStore::open(url.expose()).await?;
                Self::Postgres(match &config.purge_database {
                    None => store,
                    Some(purger) => store.purging_as(purger.expose()).await?,
                })
            }
        })
    }

    /// Its name for people.
    pub(crate) fn name(config: &Config) -> String {
        config.database.as_ref().map_or_else(|| config.database_file().display().to_string(), ToString::to_string)
    }

    pub(crate) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::File(store) => Arc::new(store.clone()),
            Self::Postgres(store) => Arc::new(store.clone()),
        }
    }

    pub(crate) fn write_times(&self) -> WriteTimes {
        match self {
            Self::File(store) => store.write_times(),
            Self::Postgres(store) => store.write_times(),
        }
    }

    /// Ends in order: a connection in use would keep the write-ahead log from being folded in.
    pub(crate) async fn close(&self) {
        match self {
            Self::File(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
        }
    }
}
