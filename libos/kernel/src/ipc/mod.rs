//! Pipes, terminals, event files.

mod caller;
mod epoll;
mod eventfd;
mod fifo;
mod hostdev;
pub mod pipe;
mod poll;
mod ring;
mod signalfd;
pub mod socket;
mod splice;
pub mod sysv;
mod timerfd;
pub mod tty;

/// Every operation of this folder, for the surface.
pub mod sys {
    pub use super::epoll::sys::{
        sys_epoll_create1, sys_epoll_ctl, sys_epoll_pwait, sys_epoll_pwait2,
    };
    pub use super::eventfd::sys_eventfd2;
    pub use super::pipe::sys_pipe2;
    pub use super::poll::{sys_ppoll, sys_pselect6};
    pub use super::signalfd::sys_signalfd4;
    pub use super::socket::mmsg::*;
    pub use super::socket::sys::*;
    pub use super::splice::{sys_sendfile, sys_splice, sys_tee, sys_vmsplice};
    pub use super::sysv::shm::{sys_shmat, sys_shmctl, sys_shmdt, sys_shmget};
    pub use super::timerfd::{sys_timerfd_create, sys_timerfd_gettime, sys_timerfd_settime};
}

/// Makes this folder's devices. Called once, after the heap is up and the console's mode is settled.
pub fn init() -> crate::base::Result<()> {
    crate::fs::fifo::register_opener(fifo::open);
    tty::init()?;
    hostdev::init()
}
