//! The signals that end long work.

use std::sync::{Arc, Mutex, PoisonError};

use crate::failure::{Failure, Outcome};

/// Ctrl-C, or the signals that service managers and closed terminals send.
#[derive(Clone, Default)]
pub(crate) struct Signals(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    came: bool,
    stop: Option<Box<dyn FnMut() + Send>>,
}

impl Signals {
    /// Watches from now on; call it before there is anything that a signal must not break off.
    pub(crate) fn watch() -> Outcome<Self> {
        let signals = Self::default();
        let state = signals.0.clone();
        let handler = move || {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.came = true;
            if let Some(stop) = &mut state.stop {
                stop();
            }
        };
        ctrlc::set_handler(handler).map_err(|error| Failure::could_not("cannot watch for signals").because(&error))?;
        Ok(signals)
    }

    /// What a signal does from now on; done at once when one came before.
    pub(crate) fn then(&self, mut stop: impl FnMut() + Send + 'static) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.came {
            stop();
        }
        state.stop = Some(Box::new(stop));
    }
}
