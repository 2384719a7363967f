//! Why an image or its partition table could not be used.

use std::path::PathBuf;

use crate::ImageFormat;

/// What went wrong with a disk. Texts state the fact; advice belongs to the programs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading or writing the file failed.
    #[error(transparent)]
    Storage(#[from] block_io::Error),
    /// A structure of the image is not as it must be.
    #[error("the {format} image is damaged: {what} (byte {offset_bytes} of the file)")]
    Damaged {
        /// The format that was recognised.
        format: ImageFormat,
        /// What is wrong.
        what: &'static str,
        /// Where, from the start of the image file.
        offset_bytes: u64,
    },
    /// The image file ends before what its tables name.
    #[error("the {format} image is cut off: it needs {needed_bytes} bytes at least, the file has {file_bytes}")]
    CutOff {
        /// The format that was recognised.
        format: ImageFormat,
        /// Bytes that must be there.
        needed_bytes: u64,
        /// Bytes there are.
        file_bytes: u64,
    },
    /// A kind of image that is known and not read.
    #[error("{what} cannot be read here")]
    Unsupported {
        /// Which kind, with its article.
        what: &'static str,
    },
    /// The crate that reads this format refused the image.
    #[error("the {format} image cannot be used")]
    Refused {
        /// The format that was recognised.
        format: ImageFormat,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file that belongs to the image cannot be opened.
    #[error("{} belongs to this image and cannot be opened", path.display())]
    Part {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: block_io::Error,
    },
    /// The image names a file elsewhere.
    #[error("the image names the file {name:?}, which is not in its own folder")]
    Elsewhere {
        /// The name as it stands in the image.
        name: String,
    },
    /// Images of this format are read only.
    #[error("{format} images cannot be written here")]
    ReadOnly {
        /// The format that was recognised.
        format: ImageFormat,
    },
    /// There is a partition table, and it cannot be used.
    #[error("the partition table ({kind}) cannot be used: {what}")]
    BadTable {
        /// Which kind of table.
        kind: crate::TableKind,
        /// What is wrong with it.
        what: String,
    },
}
