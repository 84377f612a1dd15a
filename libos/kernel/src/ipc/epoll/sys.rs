//! The calls.

use super::item::{Interest, MODES};
use super::{Epoll, EpollFile};
use crate::base::{Errno, Result};
use crate::fs::types::OpenFlags;
use crate::fs::{File, PollEvents};
use crate::ipc::caller;
use crate::ipc::poll::{Timeout, with_mask};
use crate::process::held::hold;
use crate::process::signal::SigSet;
use crate::process::wait::Ends;
use crate::user::UserPtr;
use alloc::sync::Arc;
use linux_raw_sys::general::{
    __kernel_timespec, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLEXCLUSIVE, EPOLLONESHOT,
    epoll_event,
};

/// What may be asked for together with `EPOLLEXCLUSIVE`.
const EXCLUSIVE: u32 = MODES & !EPOLLONESHOT
    | PollEvents::IN.bits()
    | PollEvents::OUT.bits()
    | PollEvents::ERR.bits()
    | PollEvents::HUP.bits();

/// epoll_create1(2).
pub fn sys_epoll_create1(flags: u32) -> Result<usize> {
    let flags = OpenFlags::from_bits_retain(flags);
    if !OpenFlags::CLOEXEC.contains(flags) {
        return Err(Errno::EINVAL);
    }
    let file = File::anonymous(
        Arc::new(EpollFile(Arc::new(Epoll::default()))),
        OpenFlags::RDWR,
    );
    Ok(caller::install(file, flags.contains(OpenFlags::CLOEXEC))? as usize)
}

/// epoll_ctl(2).
pub fn sys_epoll_ctl(epfd: i32, op: i32, fd: i32, event: UserPtr<epoll_event>) -> Result<usize> {
    let op = op as u32;
    let interest = match op {
        EPOLL_CTL_DEL => Interest { events: 0, data: 0 },
        _ => {
            let event = event.read()?;
            Interest {
                events: event.events,
                data: event.data,
            }
        }
    };
    let epoll_file = caller::file(epfd)?;
    let file = caller::file(fd)?;
    if !file.ops().is_some_and(|ops| ops.can_be_watched()) {
        return Err(Errno::EPERM);
    }
    let epoll = &epoll_file.ops_as::<EpollFile>().ok_or(Errno::EINVAL)?.0;
    if Arc::ptr_eq(&file, &epoll_file) {
        return Err(Errno::EINVAL);
    }
    if interest.events & EPOLLEXCLUSIVE != 0 {
        let refused = interest.events & !EXCLUSIVE != 0 || file.ops_as::<EpollFile>().is_some();
        if op == EPOLL_CTL_MOD || refused {
            return Err(Errno::EINVAL);
        }
    }
    let key = (fd, Arc::as_ptr(&file) as usize);
    match op {
        EPOLL_CTL_ADD => epoll.add(fd, &file, interest)?,
        EPOLL_CTL_MOD => epoll.modify(key, interest)?,
        EPOLL_CTL_DEL if epoll.forget(key) => {}
        EPOLL_CTL_DEL => return Err(Errno::ENOENT),
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

fn wait(
    epfd: i32,
    events: UserPtr<epoll_event>,
    max: i32,
    timeout: Timeout,
    mask: UserPtr<SigSet>,
    mask_size: usize,
) -> Result<usize> {
    if max <= 0 {
        return Err(Errno::EINVAL);
    }
    let file = hold(epfd)?;
    file.check_not_path()?;
    let epoll = &file.ops_as::<EpollFile>().ok_or(Errno::EINVAL)?.0;
    // A program's buffer may be huge; more than this at once helps nobody.
    let max = (max as usize).min(1024);
    with_mask(mask, mask_size, || {
        let take = || {
            let mut at = events;
            let put = |event| {
                at.write(event)?;
                at = at.offset(1);
                Ok(())
            };
            Some(epoll.collect(max, put)).filter(|done| *done != Ok(0))
        };
        if let Some(done) = take() {
            return done;
        }
        let deadline = match timeout {
            Timeout::None => return Ok(0),
            Timeout::Until(deadline) => Some(deadline),
            Timeout::Forever => None,
        };
        match epoll.waiters.wait_turn(deadline, Ends::AtSignal, take) {
            Err(Errno::ETIMEDOUT) => Ok(0),
            done => done?,
        }
    })
    // It never starts over.
    .map_err(|e| match e {
        Errno::ERESTARTSYS => Errno::EINTR,
        e => e,
    })
}

/// epoll_pwait(2).
pub fn sys_epoll_pwait(
    epfd: i32,
    events: UserPtr<epoll_event>,
    max: i32,
    timeout_ms: i32,
    mask: UserPtr<SigSet>,
    mask_size: usize,
) -> Result<usize> {
    let timeout = Timeout::for_ms(timeout_ms);
    wait(epfd, events, max, timeout, mask, mask_size)
}

/// epoll_pwait2(2).
pub fn sys_epoll_pwait2(
    epfd: i32,
    events: UserPtr<epoll_event>,
    max: i32,
    timeout: UserPtr<__kernel_timespec>,
    mask: UserPtr<SigSet>,
    mask_size: usize,
) -> Result<usize> {
    wait(epfd, events, max, Timeout::read(timeout)?, mask, mask_size)
}
