//! Times listing and reading everything below a path of a plain volume: `timing IMAGE [PATH]`.

#![allow(clippy::print_stdout, reason = "its output")]

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use block_io::FileDisk;
use fs_view::{EntryKind, FileSystem, Visited};

/// Runs it again from nothing known, for the best of three.
fn best(
    mut work: impl FnMut() -> Result<Duration, Box<dyn std::error::Error>>,
) -> Result<Duration, Box<dyn std::error::Error>> {
    let mut best = work()?;
    for _ in 0..2 {
        best = best.min(work()?);
    }
    Ok(best)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let image = arguments.next().ok_or("which image?")?;
    let start_path = arguments.next().unwrap_or_default();
    let open =
        || -> Result<_, Box<dyn std::error::Error>> { Ok(FileSystem::open(FileDisk::open(Path::new(&image))?)?) };
    let mut files = Vec::new();
    let listing = best(|| {
        files.clear();
        let volume = open()?;
        let start = Instant::now();
        volume.walk(&start_path, &mut |visited| {
            match visited {
                Visited::Entry { path, entry } if entry.kind == EntryKind::File => {
                    files.push((path.to_owned(), entry.clone()));
                }
                Visited::Entry { .. } => {}
                Visited::Problem(problem) => println!("{problem:?}"),
            }
            ControlFlow::Continue(())
        })?;
        Ok(start.elapsed())
    })?;
    println!("{} files listed in {listing:?}", files.len());
    let mut bytes = 0;
    let by_path = best(|| {
        let (volume, start) = (open()?, Instant::now());
        bytes = 0;
        for (path, _) in &files {
            bytes += volume.read(path, &mut std::io::sink(), &mut |_| {})?;
        }
        Ok(start.elapsed())
    })?;
    println!("{bytes} bytes read by path in {by_path:?}");
    let by_entry = best(|| {
        let (volume, start) = (open()?, Instant::now());
        let mut buffer = vec![0; 1 << 20];
        for (path, entry) in &files {
            let (file, mut done) = (volume.open_entry(entry, path)?, 0);
            while done < file.size_bytes() {
                done += volume.read_at(&file, done, &mut buffer)? as u64;
            }
        }
        Ok(start.elapsed())
    })?;
    println!("{bytes} bytes read by entry in {by_entry:?}");
    Ok(())
}
