//! Why something of a tree cannot be shown.

/// A request to a [`crate::Tree`] failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No entry has this path.
    #[error("there is no {path:?}")]
    NotFound {
        /// The path that was asked for.
        path: String,
    },
    /// The path leads through something that is no directory, or a listing of such a thing was asked for.
    #[error("{path:?} is not a directory")]
    NotADirectory {
        /// The path that was asked for.
        path: String,
    },
    /// Content was asked of something that is no file.
    #[error("{path:?} is not a file")]
    NotAFile {
        /// The path that was asked for.
        path: String,
    },
    /// A target was asked of something that is no symbolic link.
    #[error("{path:?} is not a symbolic link")]
    NotALink {
        /// The path that was asked for.
        path: String,
    },
    /// The file system stores this in a way that cannot be read here.
    #[error("{path:?} cannot be read: {reason}")]
    Unsupported {
        /// The path that was asked for.
        path: String,
        /// Why, as a fact.
        reason: String,
    },
    /// The structures of the file system are damaged there, or the medium failed.
    #[error("{path:?} cannot be read")]
    Failed {
        /// The path that was asked for.
        path: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
