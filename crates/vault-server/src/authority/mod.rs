//! Parameters of handlers that are authority. Each has one constructor: the extractor that did the check.
//!
//! | parameter | proves |
//! |---|---|
//! | [`AnySession`] | signed in with the password; the account may have no second factor yet, or not at hand |
//! | [`Session`] | signed in with everything the account asks for |
//! | [`SteppedUp`] | a session, and a grant presented for exactly this act, spent in the act's own transaction |
//! | [`MayCancel`] | a session of the account whose delay it is, or the code that was mailed about that delay |
//! | [`SignedSave`] | a save signed by an active device of the account, or by the account's author key |
//! | [`SignedHeld`], [`SignedProofQuestion`], [`SignedByDevice`] | a question or report signed by an active device |

mod device;
mod may_cancel;
mod session;
mod signed;
mod stepped_up;

pub(crate) use device::SignedByDevice;
pub(crate) use may_cancel::MayCancel;
pub(crate) use session::{AnySession, Session, bearer_token, open_session, session_of};
pub(crate) use signed::{SignedHeld, SignedProofQuestion, SignedSave};
pub(crate) use stepped_up::{GrantedAct, SteppedUp};
