//! `trap`: yash's own. The system has to know of a trap on SIGCHLD, which looks like what the shell itself installs.

use crate::{System, system};
use yash_env::Env;
use yash_env::builtin::Result;
use yash_env::semantics::Field;
use yash_env::system::Signals as _;
use yash_env::trap::{Action, Condition};

pub async fn main(env: &mut Env<System>, args: Vec<Field>) -> Result {
    // What children did before this moment is not for the trap.
    system::poll_for_all(|| env.poll_signals());
    let result = yash_builtin::trap::main(env, args).await;
    let (state, _) = env
        .traps
        .get_state(Condition::Signal(system::Host::SIGCHLD));
    if state.is_some_and(|state| matches!(state.action, Action::Command(_))) {
        system::set_traps();
    }
    result
}
