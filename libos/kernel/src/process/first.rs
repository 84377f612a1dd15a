//! The first process.

use super::exec::{self, Arguments};
use super::fork::launch_first;
use super::stack::KernelStack;
use super::thread::{Thread, current};
use super::{Credentials, Process, limits, signal, table};
use crate::arch::frame;
use crate::base::{Result, SpinLock};
use crate::drivers::{self, ConsoleMode};
use crate::fs::{FdTable, FsContext, OnExec};
use crate::memory::AddressSpace;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Starts it, with the linked program `name`.
pub fn start_init(name: &[u8]) -> Result<()> {
    super::exit::init()?;
    let pid = table::allocate_pid()?;
    let space = Arc::new(AddressSpace::new_linked(crate::memory::layout())?);
    let process = Process::new(
        pid,
        Arc::new(FdTable::new()),
        Arc::new(FsContext::initial()),
        space,
        Arc::new(Credentials::root()),
        &SpinLock::new(limits::Limits::initial()),
        Arc::new(SpinLock::new(signal::Actions::default())),
        None,
    );
    let thread = Thread::new(pid, Some(process.clone()), None);
    table::insert_first(process);
    let kernel_stack = KernelStack::new()?;
    let name: Box<Vec<u8>> = Box::new(name.to_vec());
    // SAFETY: the stack is new; `init_start` takes the box back.
    let sp = unsafe {
        frame::prepare_kernel_start(kernel_stack.top(), init_start, Box::into_raw(name) as usize)
    };
    launch_first(thread, kernel_stack, sp);
    Ok(())
}

extern "C" fn init_start(name: usize) {
    // SAFETY: `start_init` gave the box away.
    let name = unsafe { Box::from_raw(name as *mut Vec<u8>) };
    let path = [b"/bin/", name.as_slice()].concat();
    // As Linux does: descriptors 0, 1 and 2 are the console. An init that wants others opens them. A program that takes init's
    // place knows of none, so it gets the host's streams where the host takes part.
    let host = drivers::console_mode() == ConsoleMode::Framed && name.as_slice() != b"init";
    let streams: [(&[u8], i32); 3] = if host {
        [
            (b"/dev/hostin", 0),
            (b"/dev/hostout", 1),
            (b"/dev/hosterr", 1),
        ]
    } else {
        [(b"/dev/console", 2); 3]
    };
    let files = current().process().files.lock().clone();
    for (path, mode) in streams {
        let opened = crate::fs::open_kernel(path, mode, 0)
            .and_then(|stream| files.insert(stream, OnExec::Keep));
        if let Err(e) = opened {
            klog!(
                Err,
                "process 1 has no {}: {e:?}",
                core::str::from_utf8(path).unwrap_or("?")
            );
        }
    }
    let environment: [&[u8]; 3] = [b"HOME=/root", b"PATH=/bin:/usr/bin", b"TERM=vt100"];
    let started = Arguments::from_kernel(&[name.as_slice()], &environment)
        .and_then(|a| exec::replace(crate::fs::AT_FDCWD, &path, 0, a));
    if let Err(e) = started {
        panic!(
            "cannot start {}: {:?}",
            alloc::string::String::from_utf8_lossy(&path),
            e
        );
    }
}
