//! One run of QEMU, however it is used: as a command, on a terminal, by the tests, under GDB.

use std::{
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::{CommandExt, ExitStatusExt},
    },
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::{
    io::FdFlags,
    process::{Signal, set_parent_process_death_signal},
};
use wait_timeout::ChildExt;

use crate::{process, qemu};

/// What QEMU ends with when the guest's kernel panicked (`libos/kernel/src/panic.rs`).
const STATUS_PANIC: i32 = 101;

/// What QEMU is started with.
pub struct Call {
    pub arguments: Vec<String>,
    /// Descriptors that `arguments` name by number.
    pub passed: Vec<OwnedFd>,
}

impl From<Vec<String>> for Call {
    fn from(arguments: Vec<String>) -> Self {
        Self {
            arguments,
            passed: Vec::new(),
        }
    }
}

/// QEMU. Dropping it kills and reaps it.
pub struct Emulator {
    pub child: Child,
}

impl Emulator {
    /// Must be called from a thread that lives as long as QEMU is to: Linux takes that thread for the parent.
    pub fn start(
        call: impl Into<Call>,
        stdin: Stdio,
        stdout: Stdio,
        stderr: Stdio,
    ) -> Result<Self> {
        let Call { arguments, passed } = call.into();
        let mut command = Command::new(qemu::PROGRAM);
        command
            .args(arguments)
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr)
            // Ctrl-C on the terminal is for xtask, which then ends QEMU in order.
            .process_group(0);
        // SAFETY: between fork and exec only prctl(2) and fcntl(2) are called, which are async-signal-safe.
        unsafe {
            command.pre_exec(move || {
                // If xtask is killed outright, the kernel ends QEMU.
                set_parent_process_death_signal(Some(Signal::KILL))?;
                for descriptor in &passed {
                    rustix::io::fcntl_setfd(descriptor.as_fd(), FdFlags::empty())?;
                }
                Ok(())
            });
        }
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", process::describe(&command)))?;
        Ok(Self { child })
    }

    /// Waits for QEMU to end by itself; `None` where it did not.
    pub fn end_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        self.child.wait_timeout(limit).ok().flatten()
    }

    pub fn kill(&mut self) {
        // Failing means that it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What QEMU's own end says, in words; nothing where it was in order.
pub fn complaint(status: ExitStatus) -> Option<String> {
    match (status.code(), status.signal()) {
        (Some(0), _) => None,
        (Some(STATUS_PANIC), _) => Some(format!(
            "QEMU ended with status {STATUS_PANIC}: the kernel panicked"
        )),
        (Some(code), _) => Some(format!("QEMU ended with status {code}")),
        (None, Some(signal)) => Some(format!("QEMU was killed by signal {signal}")),
        (None, None) => Some(format!("QEMU ended: {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_explained() {
        let said = |raw| complaint(ExitStatus::from_raw(raw)).unwrap();
        assert!(said(101 << 8).contains("panicked"));
        assert!(said(1 << 8).ends_with("status 1"));
        assert!(said(9).contains("signal 9"));
        assert_eq!(complaint(ExitStatus::from_raw(0)), None);
    }
}
