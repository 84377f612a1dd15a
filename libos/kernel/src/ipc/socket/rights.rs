//! Descriptors on their way from one process to another (`SCM_RIGHTS`): whose they count as, and their end if nobody takes them.

use super::Socket;
use crate::base::{Errno, Result, SpinLock};
use crate::fs::File;
use crate::process::current;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

/// How many files each user has in flight. Leaf.
static IN_FLIGHT: SpinLock<BTreeMap<u32, usize>> = SpinLock::new(BTreeMap::new());

struct Parcel {
    files: Vec<Arc<File>>,
    /// How many of them are sockets.
    sockets: usize,
    /// Who sent it.
    uid: u32,
    /// In a list of what is to be thrown away.
    next: Option<Box<Parcel>>,
}

/// The files that come with a message.
#[derive(Default)]
pub struct Rights(Option<Box<Parcel>>);

impl Rights {
    /// Files that the caller sends, or none. `ETOOMANYREFS` if more of its user's are in flight than it may have open.
    pub fn send(files: Vec<Arc<File>>) -> Result<Rights> {
        if files.is_empty() {
            return Ok(Rights(None));
        }
        let process = current().process();
        let creds = process.creds();
        let most = match creds.is_privileged() {
            true => usize::MAX,
            false => crate::fs::caller::open_file_limit() as usize,
        };
        Self::of(files, creds.uid, most)
    }

    /// The same for any user, who may have `most` and these in flight.
    pub(super) fn of(files: Vec<Arc<File>>, uid: u32, most: usize) -> Result<Rights> {
        {
            let mut in_flight = IN_FLIGHT.lock();
            let count = in_flight.entry(uid).or_insert(0);
            if *count > most {
                return Err(Errno::ETOOMANYREFS);
            }
            *count += files.len();
        }
        let mut sockets = 0;
        for socket in files.iter().filter_map(|file| file.ops_as::<Socket>()) {
            socket.in_flight.fetch_add(1, Ordering::SeqCst);
            sockets += 1;
        }
        Ok(Rights(Some(Box::new(Parcel {
            files,
            sockets,
            uid,
            next: None,
        }))))
    }

    pub fn files(&self) -> &[Arc<File>] {
        self.0.as_ref().map_or(&[], |parcel| &parcel.files)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How many of the files are sockets.
    pub fn sockets(&self) -> usize {
        self.0.as_ref().map_or(0, |parcel| parcel.sockets)
    }

    /// They have arrived.
    pub fn receive(&mut self) -> Vec<Arc<File>> {
        self.0
            .take()
            .map_or(Vec::new(), |mut parcel| parcel.unpack())
    }
}

impl Parcel {
    /// The files, which are in flight no longer.
    fn unpack(&mut self) -> Vec<Arc<File>> {
        let mut in_flight = IN_FLIGHT.lock();
        if let Some(count) = in_flight.get_mut(&self.uid) {
            *count -= self.files.len();
            if *count == 0 {
                in_flight.remove(&self.uid);
            }
        }
        drop(in_flight);
        for socket in self.files.iter().filter_map(|file| file.ops_as::<Socket>()) {
            socket.in_flight.fetch_sub(1, Ordering::SeqCst);
        }
        core::mem::take(&mut self.files)
    }
}

/// A thread that throws parcels away, and those that are left to it.
struct Disposal {
    thread: usize,
    parcels: Option<Box<Parcel>>,
}

static DISPOSALS: SpinLock<Vec<Disposal>> = SpinLock::new(Vec::new());

/// Whether the thread is about to throw files away; afterwards it looks for what is lost.
pub fn are_being_dropped() -> bool {
    let thread = this_thread();
    DISPOSALS.lock().iter().any(|d| d.thread == thread)
}

/// Does what throws files away, in a thread that is not about it. A file may be a socket with messages that hold sockets with messages:
/// they go one after another, not by a recursion that a program can make as deep as it likes. All are gone afterwards.
pub fn drop_in_order(f: impl FnOnce()) {
    let thread = this_thread();
    DISPOSALS.lock().push(Disposal {
        thread,
        parcels: None,
    });
    f();
    loop {
        let mut disposals = DISPOSALS.lock();
        let Some(at) = disposals.iter().position(|d| d.thread == thread) else {
            return;
        };
        let Some(mut parcel) = disposals[at].parcels.take() else {
            disposals.swap_remove(at);
            return;
        };
        disposals[at].parcels = parcel.next.take();
        drop(disposals);
        parcel.unpack().into_iter().for_each(drop);
    }
}

impl Drop for Rights {
    fn drop(&mut self) {
        let Some(mut parcel) = self.0.take() else {
            return;
        };
        let thread = this_thread();
        {
            let mut disposals = DISPOSALS.lock();
            if let Some(disposal) = disposals.iter_mut().find(|d| d.thread == thread) {
                parcel.next = disposal.parcels.take();
                disposal.parcels = Some(parcel);
                return;
            }
        }
        drop_in_order(|| parcel.unpack().into_iter().for_each(drop));
        super::flight::collect();
    }
}

#[cfg(target_os = "none")]
fn this_thread() -> usize {
    Arc::as_ptr(current()).addr()
}

#[cfg(not(target_os = "none"))]
fn this_thread() -> usize {
    std::thread_local!(static HERE: u8 = const { 0 });
    HERE.with(|here| core::ptr::from_ref(here).addr())
}
