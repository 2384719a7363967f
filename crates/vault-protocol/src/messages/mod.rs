//! Request and answer of every route. Field names are the wire's.

mod account;
mod device;
mod log;
mod passkey;
mod password;
mod record;
mod recover;
mod renew;
mod sign_in;
mod sign_up;
mod status;
mod step_up;
mod wait;

pub use account::*;
pub use device::*;
pub use log::*;
pub use passkey::*;
pub use password::*;
pub use record::*;
pub use recover::*;
pub use renew::*;
pub use sign_in::*;
pub use sign_up::*;
pub use status::*;
pub use step_up::*;
pub use wait::*;
