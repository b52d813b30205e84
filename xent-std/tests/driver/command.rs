//! Other programs, run as the test is.

use std::env;
use std::ffi::OsStr;
use std::process::Command;

/// Runs `program`, in `XENT_EMULATOR` where that is set: an emulator of one process does not run what the
/// process starts.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    match env::var_os("XENT_EMULATOR") {
        Some(emulator) => {
            let mut command = Command::new(emulator);
            command.arg(program);
            command
        }
        None => Command::new(program),
    }
}
