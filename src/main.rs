//! The `sexton` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    sexton::daemon::main()
}
