//! Patience with clients that take their answers slowly, and its end.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A client that takes less than this in the time it has is not one that reads.
const LEAST_BYTES: usize = 16 * 1024;

/// A stream whose other end must take what is written: as long as it keeps the service waiting, it has to take a part in every
/// span of time.
pub(crate) struct Patient<S> {
    inner: S,
    time: Duration,
    /// Runs since the last time that enough was taken; `None` while nothing waits.
    waiting: Option<Pin<Box<Sleep>>>,
    taken_bytes: usize,
}

impl<S> Patient<S> {
    pub(crate) fn new(inner: S, time: Duration) -> Self {
        Self { inner, time, waiting: None, taken_bytes: 0 }
    }

    /// Judges what an attempt to write gave.
    fn judge<T>(
        &mut self,
        context: &mut Context<'_>,
        done: Poll<io::Result<T>>,
        bytes: impl Fn(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        match done {
            Poll::Ready(result) => {
                if let Ok(value) = &result {
                    self.taken_bytes = self.taken_bytes.saturating_add(bytes(value));
                }
                if self.taken_bytes >= LEAST_BYTES {
                    self.waiting = None;
                    self.taken_bytes = 0;
                }
                Poll::Ready(result)
            }
            Poll::Pending => {
                let time = self.time;
                let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(time)));
                ready!(waiting.as_mut().poll(context));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.inner).poll_write(context, buffer);
        self.judge(context, done, |count| *count)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.inner).poll_write_vectored(context, buffers);
        self.judge(context, done, |count| *count)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.inner).poll_flush(context);
        // All of the answer is taken: the next one has the whole time again.
        self.judge(context, done, |()| LEAST_BYTES)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.inner).poll_shutdown(context);
        self.judge(context, done, |()| 0)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const TIME: Duration = Duration::from_millis(500);

    #[tokio::test]
    async fn who_takes_nothing_is_cut_off_and_who_reads_on_is_not() {
        let (near, mut far) = duplex(1024);
        let mut near = Patient::new(near, TIME);
        let answer = vec![7; 256 * 1024];
        let error = near.write_all(&answer).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(near);
        let mut rest = Vec::new();
        far.read_to_end(&mut rest).await.unwrap();
        // A drop now and then is not reading.
        let (near, mut far) = duplex(1024);
        let mut near = Patient::new(near, TIME);
        let dripping = tokio::spawn(async move {
            let mut drop = [0; 1];
            while far.read(&mut drop).await.is_ok_and(|count| count > 0) {
                sleep(TIME / 3).await;
            }
        });
        assert!(near.write_all(&answer).await.is_err());
        dripping.abort();
        // Slow is well, as long as it goes on.
        let (near, mut far) = duplex(32 * 1024);
        let mut near = Patient::new(near, TIME);
        let reading = tokio::spawn(async move {
            let mut taken = vec![0; 32 * 1024];
            for _ in 0..8 {
                sleep(TIME / 2).await;
                far.read_exact(&mut taken).await.unwrap();
            }
        });
        near.write_all(&answer).await.unwrap();
        reading.await.unwrap();
    }
}
