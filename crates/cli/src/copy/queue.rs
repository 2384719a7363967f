//! Work for several threads: small files one by one, large ones in chunks, so that one large file keeps all of them busy.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// How much of a large file one thread takes at once.
pub(super) const CHUNK_BYTES: u64 = 1 << 20;
/// Files from this size on are done in chunks.
pub(super) const LARGE_FROM_BYTES: u64 = 8 << 20;
/// More threads than this do not help any disk.
const MOST_THREADS: usize = 8;

/// What is done with each file.
pub(super) trait Job: Sync {
    /// A large file in the works.
    type Large: Send + Sync;

    /// Length of a file.
    fn size(&self, index: usize) -> u64;

    /// Does all of a small file.
    fn small(&self, index: usize, buffers: &mut Buffers);

    /// Begins a large file; `None` where there is nothing to do for it.
    fn open(&self, index: usize) -> Option<Self::Large>;

    /// Does a part of a large file; `false` when the rest of it need not be tried.
    fn chunk(&self, large: &Self::Large, offset_bytes: u64, length: usize, buffers: &mut Buffers) -> bool;

    /// Ends a large file, of which all or only some parts were done.
    fn close(&self, large: &Self::Large);

    /// Nothing new is to be begun.
    fn stopped(&self) -> bool;
}

/// Memory that a thread uses again and again.
#[derive(Default)]
pub(super) struct Buffers {
    one: Vec<u8>,
    two: Vec<u8>,
}

impl Buffers {
    /// Two pieces of `length` bytes, whose content is left over from earlier.
    pub(super) fn pair(&mut self, length: usize) -> (&mut [u8], &mut [u8]) {
        (sized(&mut self.one, length), sized(&mut self.two, length))
    }
}

fn sized(buffer: &mut Vec<u8>, length: usize) -> &mut [u8] {
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    buffer.get_mut(..length).unwrap_or_default()
}

struct Open<L> {
    large: Arc<L>,
    number: usize,
    size: u64,
    next: u64,
    busy: usize,
}

struct State<L> {
    next: usize,
    open: Vec<Open<L>>,
    /// Large files that are just being opened: soon there are chunks to take.
    opening: usize,
}

impl<L> Open<L> {
    fn chunk(&mut self) -> Task<L> {
        let (offset, length) = (self.next, CHUNK_BYTES.min(self.size - self.next));
        self.next += length;
        self.busy += 1;
        let length = usize::try_from(length).unwrap_or_default();
        Task::Chunk { large: Arc::clone(&self.large), number: self.number, offset, length }
    }
}

enum Task<L> {
    Small(usize),
    Large(usize),
    Chunk { large: Arc<L>, number: usize, offset: u64, length: usize },
}

struct Queue<'j, J: Job> {
    job: &'j J,
    count: usize,
    state: Mutex<State<J::Large>>,
    opened: Condvar,
}

/// Notes at its end that a large file is open, or never will be.
struct Opening<'q, 'j, J: Job>(&'q Queue<'j, J>);

impl<J: Job> Drop for Opening<'_, '_, J> {
    fn drop(&mut self) {
        self.0.lock().opening -= 1;
        self.0.opened.notify_all();
    }
}

/// Does the job for the files `0..count`. Returns when all is done or the job has stopped.
pub(super) fn run<J: Job>(job: &J, count: usize) {
    let state = Mutex::new(State { next: 0, open: Vec::new(), opening: 0 });
    let queue = Queue { job, count, state, opened: Condvar::new() };
    let threads = thread::available_parallelism().map_or(2, usize::from).clamp(2, MOST_THREADS);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| queue.work());
        }
    });
    let left = queue.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    for open in left.open {
        job.close(&open.large);
    }
}

impl<J: Job> Queue<'_, J> {
    fn lock(&self) -> MutexGuard<'_, State<J::Large>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut buffers = Buffers::default();
        while let Some(task) = self.take() {
            match task {
                Task::Small(index) => self.job.small(index, &mut buffers),
                Task::Large(index) => self.begin(index),
                Task::Chunk { large, number, offset, length } => {
                    let go_on = self.job.chunk(&large, offset, length, &mut buffers);
                    self.chunk_done(number, go_on);
                }
            }
        }
    }

    /// The next chunk of a file that is open, or the next file.
    fn take(&self) -> Option<Task<J::Large>> {
        let mut state = self.lock();
        loop {
            if self.job.stopped() {
                return None;
            }
            if let Some(open) = state.open.iter_mut().find(|open| open.next < open.size) {
                return Some(open.chunk());
            }
            if state.next < self.count {
                let index = state.next;
                state.next += 1;
                let large = self.job.size(index) >= LARGE_FROM_BYTES;
                state.opening += usize::from(large);
                return Some(if large { Task::Large(index) } else { Task::Small(index) });
            }
            if state.opening == 0 {
                return None;
            }
            state = self.opened.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn begin(&self, index: usize) {
        let opening = Opening(self);
        if let Some(large) = self.job.open(index) {
            let size = self.job.size(index);
            self.lock().open.push(Open { large: Arc::new(large), number: index, size, next: 0, busy: 0 });
        }
        drop(opening);
    }

    fn chunk_done(&self, number: usize, go_on: bool) {
        let mut state = self.lock();
        let Some(place) = state.open.iter().position(|open| open.number == number) else { return };
        let Some(open) = state.open.get_mut(place) else { return };
        open.busy -= 1;
        if !go_on {
            open.next = open.size;
        }
        if open.busy == 0 && open.next == open.size {
            let open = state.open.swap_remove(place);
            drop(state);
            self.job.close(&open.large);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Notes what it is asked to do; stops after `most` parts.
    struct Notes {
        sizes: Vec<u64>,
        parts: Mutex<Vec<(usize, u64, usize)>>,
        threads: Mutex<HashSet<thread::ThreadId>>,
        closed: AtomicUsize,
        most: usize,
        bad: Option<usize>,
    }

    impl Notes {
        fn new(sizes: &[u64], most: usize, bad: Option<usize>) -> Self {
            let (parts, threads, closed) = (Mutex::default(), Mutex::default(), AtomicUsize::new(0));
            Self { sizes: sizes.to_vec(), parts, threads, closed, most, bad }
        }
    }

    impl Job for Notes {
        type Large = usize;

        fn size(&self, index: usize) -> u64 {
            self.sizes[index]
        }

        fn small(&self, index: usize, _buffers: &mut Buffers) {
            self.parts.lock().unwrap().push((index, 0, 0));
        }

        fn open(&self, index: usize) -> Option<usize> {
            thread::sleep(std::time::Duration::from_millis(20));
            (self.sizes[index] != u64::MAX).then_some(index)
        }

        fn chunk(&self, large: &usize, offset_bytes: u64, length: usize, _buffers: &mut Buffers) -> bool {
            thread::sleep(std::time::Duration::from_millis(1));
            self.parts.lock().unwrap().push((*large, offset_bytes, length));
            self.threads.lock().unwrap().insert(thread::current().id());
            self.bad != Some(*large)
        }

        fn close(&self, _large: &usize) {
            self.closed.fetch_add(1, Ordering::Relaxed);
        }

        fn stopped(&self) -> bool {
            self.parts.lock().unwrap().len() >= self.most
        }
    }

    fn bytes_of(notes: &Notes, index: usize) -> u64 {
        let parts = notes.parts.lock().unwrap();
        let mut parts: Vec<_> = parts.iter().filter(|part| part.0 == index).collect();
        parts.sort_unstable();
        parts.iter().fold(0, |end, (_, offset, length)| {
            assert_eq!(*offset, end);
            end + *length as u64
        })
    }

    #[test]
    fn every_part_once_and_a_large_file_by_several_threads() {
        let odd = 40 * CHUNK_BYTES + 17;
        let notes = Notes::new(&[5, odd, 0, u64::MAX, LARGE_FROM_BYTES], usize::MAX, None);
        run(&notes, 5);
        assert_eq!((bytes_of(&notes, 1), bytes_of(&notes, 4)), (odd, LARGE_FROM_BYTES));
        let small = notes.parts.lock().unwrap().iter().filter(|part| [0, 2].contains(&part.0)).count();
        assert_eq!((small, notes.closed.load(Ordering::Relaxed)), (2, 2));
        assert!(notes.threads.lock().unwrap().len() >= 2, "also when the large file is the last");
    }

    #[test]
    fn a_bad_file_and_a_stop_end_what_was_begun() {
        let notes = Notes::new(&[40 * CHUNK_BYTES, 9 * CHUNK_BYTES], usize::MAX, Some(0));
        run(&notes, 2);
        assert!(bytes_of(&notes, 0) < 20 * CHUNK_BYTES && bytes_of(&notes, 1) == 9 * CHUNK_BYTES);
        assert_eq!(notes.closed.load(Ordering::Relaxed), 2);
        let notes = Notes::new(&[40 * CHUNK_BYTES, 9 * CHUNK_BYTES], 5, None);
        run(&notes, 2);
        assert!(bytes_of(&notes, 0) < 20 * CHUNK_BYTES);
        assert!(notes.closed.load(Ordering::Relaxed) >= 1);
    }
}
