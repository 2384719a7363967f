//! What people do with a drive: find it, open it, back up its key, turn encryption on and off, change its keys.
//!
//! The program and the control panel do the same things and ask for them differently; what they have in common is here. A
//! failure is told as a person sees it: error, cause, next step ([`failure`]), and as a word for other languages
//! ([`failure::Kind`]). Locks keep two of us from one drive ([`lock`]).
//!
//! What is not done here: asking people, arguments, progress bars, HTTP. Nothing writes to standard output; what should be
//! known although the work goes on goes through [`note`].

pub mod account;
pub mod backup;
pub mod convert;
pub mod create;
pub mod disk;
pub mod drive;
pub mod drives;
pub mod edit;
pub mod encrypt;
pub mod failure;
pub mod files;
pub mod host;
pub mod info;
pub mod lock;
pub mod names;
pub mod note;
pub mod places;
pub mod recovery_file;
pub mod rotate;
pub mod same_drive;
pub mod words;
