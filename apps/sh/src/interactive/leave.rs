//! Leaving a shell that has stopped jobs: refused the first time, done the second time in a row, as in bash and dash.
//!
//! yash refuses for as long as it is told to. Before it looks, this module tells it.

use crate::System;
use std::cell::Cell;
use yash_env::Env;
use yash_env::input::SuspendedJobsGuardConfig as Refusal;

thread_local! {
    /// For how many more commands a refusal counts: the one that was refused, and the next.
    static WARNED: Cell<u8> = const { Cell::new(0) };
}

/// Notes that a command is asked for.
pub fn begin() {
    WARNED.set(WARNED.get().saturating_sub(1));
}

/// Notes that the user wants to leave: by `exit` or by ^D.
pub fn attempt(env: &mut Env<System>) {
    if WARNED.get() > 0 {
        env.any.remove::<Refusal>();
    } else if env.jobs.iter().any(|(_, job)| job.state.is_stopped()) {
        WARNED.set(2);
        let message = "There are stopped jobs.\n";
        env.any.insert(Box::new(Refusal::with_message(message)));
    }
}
