//! Secrets stay out of core dumps and out of other processes' reach.

/// Forbids core dumps of this process and reading its memory by other processes of the same user. Where the system
/// refuses, the program goes on: it is one fence of several.
pub(crate) fn keep_secrets_out_of_core_dumps() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}
