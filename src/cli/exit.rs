//! Exit codes: part of the interface, so that scripts can tell what happened.

/// Done.
pub const DONE: u8 = 0;
/// Something went wrong before or around the work.
pub const ERROR: u8 = 1;
/// The command line makes no sense.
pub const USAGE: u8 = 2;
/// The run failed.
pub const FAILED: u8 = 6;
/// The run was skipped.
pub const SKIPPED: u8 = 7;
/// The run was cancelled.
pub const CANCELLED: u8 = 8;

/// The code for a final state.
pub fn of(state: crate::state::Final) -> u8 {
    match state {
        crate::state::Final::Done => DONE,
        crate::state::Final::Skipped => SKIPPED,
        crate::state::Final::Failed => FAILED,
        crate::state::Final::Cancelled => CANCELLED,
    }
}

/// What `--help` says of them.
pub const HELP: &str = "Exit codes: 0 done, 1 error, 2 usage, 6 the run failed, 7 it was skipped, 8 it was cancelled.";
