//! Calls that arrive while the database is busy travel together in the next statement.

use std::future::Future;

use tokio::sync::{mpsc, oneshot};

/// Most calls in one statement.
const MOST: usize = 64;
/// Calls that wait for a turn before the next one waits to be queued.
const QUEUE: usize = 1024;

type Asked<Question, Answer> = (Question, oneshot::Sender<Answer>);

/// Gathers questions, and has them answered by so many statements at a time as there are hands.
///
/// A call alone waits for nobody: it goes at once, in a statement of its own.
#[derive(Debug)]
pub(super) struct Gather<Question, Answer>(mpsc::Sender<Asked<Question, Answer>>);

impl<Question, Answer> Clone for Gather<Question, Answer> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<Question: Send + 'static, Answer: Send + 'static> Gather<Question, Answer> {
    /// `work` answers questions in their order; with fewer answers than questions, the rest stay without one. It runs until the last
    /// clone of the result is gone.
    pub(super) fn new<Work, Done>(hands: usize, work: Work) -> Self
    where
        Work: Fn(Vec<Question>) -> Done + Clone + Send + 'static,
        Done: Future<Output = Vec<Answer>> + Send,
    {
        let (sender, receiver) = mpsc::channel::<Asked<Question, Answer>>(QUEUE);
        let receiver = std::sync::Arc::new(tokio::sync::Mutex::new(receiver));
        for _ in 0..hands {
            let (receiver, work) = (std::sync::Arc::clone(&receiver), work.clone());
            tokio::spawn(async move {
                loop {
                    let mut asked = Vec::new();
                    if receiver.lock().await.recv_many(&mut asked, MOST).await == 0 {
                        return;
                    }
                    let (questions, callers): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
                    for (answer, caller) in work(questions).await.into_iter().zip(callers) {
                        // Who asked may have gone.
                        let _ = caller.send(answer);
                    }
                }
            });
        }
        Self(sender)
    }

    /// `None`: there is no answer. What became of the question is not known.
    pub(super) async fn ask(&self, question: Question) -> Option<Answer> {
        let (sender, receiver) = oneshot::channel();
        self.0.send((question, sender)).await.ok()?;
        receiver.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn those_who_wait_travel_together_and_each_gets_its_own_answer() {
        let turns = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&turns);
        let gather = Gather::new(1, move |questions: Vec<usize>| {
            let counted = Arc::clone(&counted);
            async move {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(20)).await;
                questions.into_iter().map(|n| n * 2).collect()
            }
        });
        let calls = (0..50).map(|n| {
            let gather = gather.clone();
            tokio::spawn(async move { assert_eq!(gather.ask(n).await, Some(n * 2)) })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap();
        }
        assert!(turns.load(Ordering::Relaxed) <= 3, "the first alone, the others while it was away");
    }

    #[tokio::test]
    async fn a_question_without_an_answer_is_told() {
        let gather = Gather::new(2, |questions: Vec<u8>| async move { vec![(); questions.len() - 1] });
        assert_eq!(gather.ask(1).await, None);
    }
}
