//! Visiting everything below a directory.

use std::collections::HashSet;
use std::ops::ControlFlow;

use block_io::BlockRead;

use crate::entry::join;
use crate::path::{MAX_DEPTH, components};
use crate::{Entry, EntryKind, Error, FileSystem, Listing, Problem};

/// Size of a directory entry of FAT.
const FAT_ENTRY_BYTES: u64 = 32;

/// What [`FileSystem::walk`] comes across.
#[derive(Debug, Clone, Copy)]
pub enum Visited<'a> {
    /// A file, directory or other thing; directories come before their content.
    Entry {
        /// Path from the root of the volume, with a leading `/`.
        path: &'a str,
        /// What is there.
        entry: &'a Entry,
    },
    /// Something that could not be listed. The walk goes on.
    Problem(&'a Problem),
}

type Visitor<'v> = &'v mut dyn FnMut(Visited<'_>) -> ControlFlow<()>;

impl<D: BlockRead> FileSystem<D> {
    /// Visits everything below a directory, at most 64 levels deep, until the visitor breaks. Links are not followed.
    ///
    /// A directory that was visited already, as a damaged volume can have it, is told as a problem and not entered
    /// again. The walk ends with a problem after more entries than a sound volume of this size has room for.
    ///
    /// # Errors
    /// As [`FileSystem::list`], for the starting directory alone.
    pub fn walk(&self, path: &str, visitor: &mut dyn FnMut(Visited<'_>) -> ControlFlow<()>) -> Result<(), Error> {
        let start = components(path)?.iter().fold(String::new(), |path, part| path + "/" + part);
        let entry = self.stat(&start)?;
        let listing = self.list_entry(&entry, &start)?;
        let mut seen = HashSet::from([self.identity(&entry)]);
        let mut waiting = Vec::new();
        // No file system has entries smaller than those of FAT.
        let mut room = self.volume_bytes() / FAT_ENTRY_BYTES;
        let mut flow = visit_listing(&start, &listing, visitor, &mut waiting);
        while let (ControlFlow::Continue(()), Some((path, entry))) = (flow, waiting.pop()) {
            if !seen.insert(self.identity(&entry)) {
                flow = visit_problem(path, "the directory appears in two places".to_owned(), visitor);
                continue;
            }
            flow = match self.list_entry(&entry, &path) {
                Ok(listing) if listing.entries.len() as u64 > room => {
                    let reason = "the volume claims more entries than it has room for".to_owned();
                    let _ = visit_problem(path, reason, visitor);
                    ControlFlow::Break(())
                }
                Ok(listing) => {
                    room -= listing.entries.len() as u64;
                    visit_listing(&path, &listing, visitor, &mut waiting)
                }
                Err(error) => visit_problem(path, error.to_string(), visitor),
            };
        }
        Ok(())
    }
}

fn visit_problem(path: String, reason: String, visitor: Visitor<'_>) -> ControlFlow<()> {
    visitor(Visited::Problem(&Problem { path, reason }))
}

/// Visits the entries of a directory; its directories are added to those `waiting`, the first on top.
fn visit_listing(
    directory: &str,
    listing: &Listing,
    visitor: Visitor<'_>,
    waiting: &mut Vec<(String, Entry)>,
) -> ControlFlow<()> {
    let first = waiting.len();
    for entry in &listing.entries {
        let path = join(directory, &entry.name);
        visitor(Visited::Entry { path: &path, entry })?;
        if entry.kind != EntryKind::Directory {
            continue;
        }
        if path.matches('/').count() >= MAX_DEPTH {
            visit_problem(path, "directories more than 64 levels deep are not entered".to_owned(), visitor)?;
        } else {
            waiting.push((path, entry.clone()));
        }
    }
    waiting[first..].reverse();
    listing.problems.iter().try_for_each(|problem| visitor(Visited::Problem(problem)))
}
