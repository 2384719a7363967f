//! A read-only tree of files.

use crate::{Entry, Error};

/// Files of a volume, for reading.
///
/// A path is the names from the root joined with `/`; the root is the empty path. Paths are made of names that
/// [`Tree::list`] gave, so they are compared exactly: a tree whose file system ignores case may find more. Calls may come
/// from many threads at once.
pub trait Tree: Send + Sync {
    /// What stands behind a path. A link is not followed.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotADirectory`] on the way there, [`Error::Failed`].
    fn stat(&self, path: &str) -> Result<Entry, Error>;

    /// Everything in a directory that can be listed, in the order of the file system, without `.` and `..`.
    ///
    /// Names should be plain (see [`crate::is_plain`]); one that is not is shown escaped and cannot be opened.
    ///
    /// # Errors
    /// As [`Tree::stat`], when nothing of the directory can be read. Parts that cannot be read are left out.
    fn list(&self, path: &str) -> Result<Vec<Entry>, Error>;

    /// Where a symbolic link leads, as the link says it, with `/` between names.
    ///
    /// # Errors
    /// As [`Tree::stat`], and [`Error::NotALink`].
    fn read_link(&self, path: &str) -> Result<String, Error>;

    /// Opens a file for reading. The handle owns what it needs, so that it outlives the call.
    ///
    /// # Errors
    /// As [`Tree::stat`]; [`Error::NotAFile`], [`Error::Unsupported`].
    fn open(&self, path: &str) -> Result<Box<dyn OpenFile>, Error>;

    /// Size of the file system and what of it is free.
    fn space(&self) -> Space;
}

/// A file that is open for reading.
pub trait OpenFile: Send + Sync {
    /// Fills `buffer` from `offset_bytes` as far as the content goes and returns the number of bytes: less than the
    /// buffer only at the end of the file, 0 behind it.
    ///
    /// # Errors
    /// [`Error::Failed`].
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<usize, Error>;
}

/// Size of a file system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Space {
    /// All of it, in bytes.
    pub total_bytes: u64,
    /// Free bytes; `None` where that is not known.
    pub free_bytes: Option<u64>,
    /// Size of a cluster in bytes.
    pub cluster_bytes: u32,
}

impl<T: Tree + ?Sized> Tree for std::sync::Arc<T> {
    fn stat(&self, path: &str) -> Result<Entry, Error> {
        (**self).stat(path)
    }
    fn list(&self, path: &str) -> Result<Vec<Entry>, Error> {
        (**self).list(path)
    }
    fn read_link(&self, path: &str) -> Result<String, Error> {
        (**self).read_link(path)
    }
    fn open(&self, path: &str) -> Result<Box<dyn OpenFile>, Error> {
        (**self).open(path)
    }
    fn space(&self) -> Space {
        (**self).space()
    }
}
