//! A tree in memory: for tests of whatever shows trees.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::names::child;
use crate::{Entry, EntryKind, Error, OpenFile, Space, Tree};

/// A tree that was put together piece by piece.
#[derive(Debug, Default)]
pub struct MemoryTree {
    /// By path; the root is the empty path and always there.
    nodes: BTreeMap<String, Node>,
    next_identity: u64,
}

#[derive(Debug, Clone)]
struct Node {
    entry: Entry,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    None,
    Bytes(Arc<[u8]>),
    Target(String),
    /// Opening works, reading fails from this offset on.
    FailsFrom(Arc<[u8]>, usize),
}

impl MemoryTree {
    /// An empty root.
    #[must_use]
    pub fn new() -> Self {
        let root = Node { entry: Entry::new("", EntryKind::Directory, 0), content: Content::None };
        Self { nodes: BTreeMap::from([(String::new(), root)]), next_identity: 1 }
    }

    /// Adds a directory; its parent must be there.
    #[must_use]
    pub fn directory(self, path: &str) -> Self {
        self.add(path, EntryKind::Directory, Content::None)
    }

    /// Adds a file.
    #[must_use]
    pub fn file(self, path: &str, content: impl Into<Arc<[u8]>>) -> Self {
        self.add(path, EntryKind::File, Content::Bytes(content.into()))
    }

    /// Adds a file of which nothing behind `good_bytes` can be read, as on a damaged medium.
    #[must_use]
    pub fn damaged_file(self, path: &str, content: impl Into<Arc<[u8]>>, good_bytes: usize) -> Self {
        self.add(path, EntryKind::File, Content::FailsFrom(content.into(), good_bytes))
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn link(self, path: &str, target: &str) -> Self {
        self.add(path, EntryKind::Link, Content::Target(target.to_owned()))
    }

    /// Adds something that is neither file nor directory nor link.
    #[must_use]
    pub fn other(self, path: &str) -> Self {
        self.add(path, EntryKind::Other, Content::None)
    }

    /// Adds another name for a file that is there; without effect when it is not.
    #[must_use]
    pub fn hard_link(mut self, path: &str, existing: &str) -> Self {
        let Some(mut node) = self.nodes.get(existing).cloned() else { return self };
        let links = node.entry.links + 1;
        for other in self.nodes.values_mut().filter(|other| other.entry.identity == node.entry.identity) {
            other.entry.links = links;
        }
        node.entry.links = links;
        name_of(path).clone_into(&mut node.entry.name);
        self.nodes.insert(path.to_owned(), node);
        self
    }

    /// Changes an entry that is there: its times for instance.
    #[must_use]
    pub fn with(mut self, path: &str, change: impl FnOnce(&mut Entry)) -> Self {
        if let Some(node) = self.nodes.get_mut(path) {
            change(&mut node.entry);
        }
        self
    }

    fn add(mut self, path: &str, kind: EntryKind, content: Content) -> Self {
        let mut entry = Entry::new(name_of(path), kind, self.next_identity);
        entry.size_bytes = match &content {
            Content::Bytes(bytes) | Content::FailsFrom(bytes, _) => bytes.len() as u64,
            Content::Target(target) => target.len() as u64,
            Content::None => 0,
        };
        self.next_identity += 1;
        self.nodes.insert(path.to_owned(), Node { entry, content });
        self
    }

    fn node(&self, path: &str) -> Result<&Node, Error> {
        if let Some(node) = self.nodes.get(path) {
            return Ok(node);
        }
        let through = path.match_indices('/').any(|(at, _)| {
            path.get(..at)
                .and_then(|above| self.nodes.get(above))
                .is_some_and(|node| node.entry.kind != EntryKind::Directory)
        });
        let path = path.to_owned();
        Err(if through { Error::NotADirectory { path } } else { Error::NotFound { path } })
    }
}

impl Tree for MemoryTree {
    fn stat(&self, path: &str) -> Result<Entry, Error> {
        Ok(self.node(path)?.entry.clone())
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, Error> {
        if self.node(path)?.entry.kind != EntryKind::Directory {
            return Err(Error::NotADirectory { path: path.to_owned() });
        }
        let prefix = child(path, "");
        let below = self.nodes.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix));
        let own = below.filter(|(path, _)| path.len() > prefix.len() && !path[prefix.len()..].contains('/'));
        Ok(own.map(|(_, node)| node.entry.clone()).collect())
    }

    fn read_link(&self, path: &str) -> Result<String, Error> {
        match &self.node(path)?.content {
            Content::Target(target) => Ok(target.clone()),
            _ => Err(Error::NotALink { path: path.to_owned() }),
        }
    }

    fn open(&self, path: &str) -> Result<Box<dyn OpenFile>, Error> {
        match &self.node(path)?.content {
            Content::Bytes(bytes) => Ok(Box::new(OpenBytes { bytes: bytes.clone(), good_bytes: usize::MAX })),
            Content::FailsFrom(bytes, good) => Ok(Box::new(OpenBytes { bytes: bytes.clone(), good_bytes: *good })),
            _ => Err(Error::NotAFile { path: path.to_owned() }),
        }
    }

    fn space(&self) -> Space {
        Space { total_bytes: 1 << 20, free_bytes: Some(1 << 19), cluster_bytes: 4096 }
    }
}

struct OpenBytes {
    bytes: Arc<[u8]>,
    good_bytes: usize,
}

impl OpenFile for OpenBytes {
    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<usize, Error> {
        let from = usize::try_from(offset_bytes).unwrap_or(usize::MAX);
        let rest = self.bytes.get(from..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        if length > 0 && from.saturating_add(length) > self.good_bytes {
            let source = std::io::Error::other("the medium is damaged there");
            return Err(Error::Failed { path: String::new(), source: Box::new(source) });
        }
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_lists_what_was_put_in() {
        let tree = MemoryTree::new()
            .directory("a")
            .file("a/one", *b"1")
            .directory("a/deep")
            .file("a/deep/two", *b"22")
            .file("b", *b"333")
            .hard_link("c", "b");
        let names = |path| tree.list(path).unwrap().into_iter().map(|entry| entry.name).collect::<Vec<_>>();
        assert_eq!(names(""), ["a", "b", "c"]);
        assert_eq!(names("a"), ["deep", "one"]);
        let (b, c) = (tree.stat("b").unwrap(), tree.stat("c").unwrap());
        assert_eq!((b.identity, b.links), (c.identity, 2));
        assert!(matches!(tree.list("b"), Err(Error::NotADirectory { .. })));
        assert!(matches!(tree.stat("b/x"), Err(Error::NotADirectory { .. })));
        assert!(matches!(tree.stat("x"), Err(Error::NotFound { .. })));
        let mut buffer = [0; 8];
        assert_eq!(tree.open("a/deep/two").unwrap().read_at(1, &mut buffer).unwrap(), 1);
        assert_eq!(tree.open("a/deep/two").unwrap().read_at(9, &mut buffer).unwrap(), 0);
    }
}
