//! What reads are answered from.

use std::cell::RefCell;

thread_local! {
    /// One per thread of a session; used again by each request.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Lends `length` bytes of the thread's buffer, with anything in them.
pub(crate) fn with_buffer(length: u32, work: impl FnOnce(&mut [u8])) {
    let length = usize::try_from(length).unwrap_or(0);
    BUFFER.with_borrow_mut(|buffer| {
        if buffer.len() < length {
            buffer.resize(length, 0);
        }
        work(&mut buffer[..length]);
    });
}
