//! The last fence around the library that writes FAT: a panic on damaged structures becomes an error.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::Error;

thread_local! {
    /// Whether this thread is inside [`fenced`], so that the panic hook stays silent.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Runs code of the library on structures from a volume.
///
/// The boot sector is checked before the library sees it, but `fatfs` calculates with offsets found on the volume and
/// asserts in places. Volumes come from anywhere, so what remains is caught here. The library's objects in use are
/// dropped by the callers after such an error, never used again, which is what makes asserting unwind safety right.
/// Callbacks of the caller must not run inside.
pub(crate) fn fenced<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    silence_inside();
    let outer = INSIDE.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    INSIDE.set(outer);
    result.unwrap_or_else(|_| Err(Error::damaged("a structure has offsets or lengths that lead outside of it")))
}

/// Keeps the default hook from printing a backtrace for a panic that is caught and told as an error. Panics elsewhere
/// go to the hook that was there before.
fn silence_inside() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !INSIDE.get() {
                previous(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error() {
        let empty: &[u8] = &[];
        assert!(matches!(fenced(|| Ok(empty[std::hint::black_box(3)])), Err(Error::Damaged { .. })));
        assert_eq!(fenced(|| Ok(5)).unwrap(), 5);
    }
}
