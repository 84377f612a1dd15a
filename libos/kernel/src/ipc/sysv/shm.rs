//! System V shared memory: segments that processes map and unmap by number (shmget(2), shmop(2), shmctl(2)).
//!
//! A segment's areas hold its pages, so whoever maps it is counted by the references to them: fork, exec and exit need
//! not know of it.

use super::permissions::{
    IPC_64, IPC_CREAT, IPC_EXCL, IPC_PRIVATE, IPC_RMID, IPC_SET, IPC_STAT, Permissions, READ, WRITE,
};
use crate::base::{Errno, PAGE_SIZE, Result, SpinLock};
use crate::memory::space::{MapFlags, MapRequest};
use crate::memory::{Protection, Reserve, SharedPages};
use crate::process::current;
use crate::user::{Plain, USER_END, UserPtr};
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};

const SHM_RDONLY: i32 = 0o1_0000;
const SHM_RND: i32 = 0o2_0000;
const SHM_REMAP: i32 = 0o4_0000;
const SHM_EXEC: i32 = 0o10_0000;
const SHM_NORESERVE: i32 = 0o1_0000;
const SHM_LOCK: i32 = 11;
const SHM_UNLOCK: i32 = 12;
/// Segments that there can be (Linux's `SHMMNI`).
const MOST: usize = 4096;
/// In a segment's mode: it goes with its last user.
const SHM_DEST: u32 = 0o1000;

/// Who keeps a segment's pages.
enum Pages {
    /// The segment itself.
    Own(Arc<SharedPages>),
    /// It was removed: those who still map it.
    Users(Weak<SharedPages>),
}

struct State {
    permissions: Permissions,
    pages: Pages,
    attached_s: i64,
    detached_s: i64,
    changed_s: i64,
    last_pid: i32,
}

struct Segment {
    size: usize,
    creator: i32,
    /// Taken inside the lock of all segments. The caller's credentials are looked at with it held.
    state: SpinLock<State>,
}

struct Segments {
    by_id: BTreeMap<i32, Arc<Segment>>,
    last: i32,
}

static SEGMENTS: SpinLock<Segments> = SpinLock::new(Segments {
    by_id: BTreeMap::new(),
    last: 0,
});

impl Segments {
    /// Forgets what is gone.
    fn sweep(&mut self) {
        self.by_id.retain(|_, segment| !segment.is_gone());
    }
}

/// The segment with number `id`.
fn find(id: i32) -> Result<Arc<Segment>> {
    let segment = SEGMENTS.lock().by_id.get(&id).cloned();
    segment
        .filter(|segment| !segment.is_gone())
        .ok_or(Errno::EINVAL)
}

impl State {
    fn pages(&self) -> Option<Arc<SharedPages>> {
        match &self.pages {
            Pages::Own(pages) => Some(pages.clone()),
            Pages::Users(pages) => pages.upgrade(),
        }
    }

    /// Areas that map the segment.
    fn users(&self) -> usize {
        match &self.pages {
            Pages::Own(pages) => Arc::strong_count(pages) - 1,
            Pages::Users(pages) => pages.strong_count(),
        }
    }
}

impl Segment {
    fn new(key: i32, size: usize, flags: i32) -> Result<Segment> {
        if size == 0 || size > USER_END {
            return Err(Errno::EINVAL);
        }
        let reserve = match flags & SHM_NORESERVE != 0 {
            true => Reserve::Never,
            false => Reserve::Now,
        };
        let bytes = size.next_multiple_of(PAGE_SIZE) as u64;
        let pages = SharedPages::new(bytes, "/SYSV00000000 (deleted)", reserve)?;
        Ok(Segment {
            size,
            creator: current().process().pid,
            state: SpinLock::new(State {
                permissions: Permissions::new(key, flags),
                pages: Pages::Own(pages),
                attached_s: 0,
                detached_s: 0,
                changed_s: now_s(),
                last_pid: 0,
            }),
        })
    }

    fn permissions(&self) -> Permissions {
        self.state.lock().permissions
    }

    /// It was removed and nobody uses it any more.
    fn is_gone(&self) -> bool {
        let state = self.state.lock();
        matches!(state.pages, Pages::Users(_)) && state.users() == 0
    }
}

fn now_s() -> i64 {
    (crate::time::realtime_ns() / 1_000_000_000) as i64
}

pub fn sys_shmget(key: i32, size: usize, flags: i32) -> Result<usize> {
    let mut segments = SEGMENTS.lock();
    segments.sweep();
    let mut all = segments.by_id.iter();
    let found = all.find(|(_, segment)| key != IPC_PRIVATE && segment.permissions().key == key);
    if let Some((&id, segment)) = found {
        if flags & IPC_CREAT != 0 && flags & IPC_EXCL != 0 {
            return Err(Errno::EEXIST);
        }
        // Bits that the caller asks for, from whichever class it gives them.
        let want = (flags >> 6 | flags >> 3 | flags) as u32 & 7;
        segment.permissions().check(want & (READ | WRITE))?;
        if size > segment.size {
            return Err(Errno::EINVAL);
        }
        return Ok(id as usize);
    }
    if key != IPC_PRIVATE && flags & IPC_CREAT == 0 {
        return Err(Errno::ENOENT);
    }
    if segments.by_id.len() >= MOST {
        return Err(Errno::ENOSPC);
    }
    let segment = Arc::new(Segment::new(key, size, flags)?);
    // Numbers are not used again before all others were: a stale one should be an error.
    let id = segments.last.checked_add(1).unwrap_or(0);
    segments.last = id;
    segments.by_id.insert(id, segment);
    Ok(id as usize)
}

pub fn sys_shmat(id: i32, addr: usize, flags: i32) -> Result<usize> {
    let segment = find(id)?;
    let read_only = flags & SHM_RDONLY != 0;
    segment
        .permissions()
        .check(if read_only { READ } else { READ | WRITE })?;
    let addr = if flags & SHM_RND != 0 {
        addr & !(PAGE_SIZE - 1)
    } else {
        addr
    };
    if !addr.is_multiple_of(PAGE_SIZE) || addr == 0 && flags & SHM_REMAP != 0 {
        return Err(Errno::EINVAL);
    }
    let mut protection = Protection::READ;
    protection.set(Protection::WRITE, !read_only);
    protection.set(Protection::EXEC, flags & SHM_EXEC != 0);
    let pages = segment.state.lock().pages().ok_or(Errno::EINVAL)?;
    let at = current()
        .process()
        .space()
        .map(MapRequest {
            addr,
            len: segment.size,
            protection,
            flags: match (addr, flags & SHM_REMAP) {
                (0, _) => MapFlags::empty(),
                (_, 0) => MapFlags::FIXED_NOREPLACE,
                _ => MapFlags::FIXED,
            },
            source: Some(pages),
            offset: 0,
            shared: true,
            never_write: read_only,
        })
        .map_err(|e| if e == Errno::EEXIST { Errno::EINVAL } else { e })?;
    let mut state = segment.state.lock();
    (state.attached_s, state.last_pid) = (now_s(), current().process().pid);
    Ok(at)
}

pub fn sys_shmdt(addr: usize) -> Result<usize> {
    let space = current().process().space();
    let segment = {
        let source = space.source_at(addr).ok_or(Errno::EINVAL)?;
        let same = |s: &Segment| {
            let pages = s.state.lock().pages();
            pages.is_some_and(|p| core::ptr::addr_eq(Arc::as_ptr(&p), Arc::as_ptr(&source)))
        };
        let segments = SEGMENTS.lock();
        let mut all = segments.by_id.values();
        let segment = all.find(|segment| same(segment)).cloned();
        drop(segments);
        let segment = segment.ok_or(Errno::EINVAL)?;
        space.unmap_source(addr, segment.size.next_multiple_of(PAGE_SIZE), &source)?;
        segment
    };
    {
        let mut state = segment.state.lock();
        (state.detached_s, state.last_pid) = (now_s(), current().process().pid);
    }
    SEGMENTS.lock().sweep();
    Ok(0)
}

/// `struct shmid64_ds`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct ShmidDs {
    permissions: Permissions,
    size: usize,
    attached_s: i64,
    detached_s: i64,
    changed_s: i64,
    creator: i32,
    last_pid: i32,
    users: usize,
    unused: [u64; 2],
}
// SAFETY: integers without padding.
unsafe impl Plain for ShmidDs {}
const _: () = assert!(size_of::<ShmidDs>() == 112);

pub fn sys_shmctl(id: i32, command: i32, about: UserPtr<ShmidDs>) -> Result<usize> {
    let segment = find(id)?;
    let mut state = segment.state.lock();
    match command & !IPC_64 {
        IPC_STAT => {
            state.permissions.check(READ)?;
            let now = ShmidDs {
                permissions: state.permissions,
                size: segment.size,
                attached_s: state.attached_s,
                detached_s: state.detached_s,
                changed_s: state.changed_s,
                creator: segment.creator,
                last_pid: state.last_pid,
                users: state.users(),
                unused: [0; 2],
            };
            drop(state);
            about.write(now)?;
        }
        IPC_SET => {
            drop(state);
            let new = about.read()?;
            let mut state = segment.state.lock();
            state.permissions.check_owner()?;
            state.permissions.set(&new.permissions);
            state.changed_s = now_s();
        }
        IPC_RMID => {
            state.permissions.check_owner()?;
            state.permissions.key = 0;
            state.permissions.mode |= SHM_DEST;
            let freed = match &state.pages {
                Pages::Own(pages) => {
                    let weak = Arc::downgrade(pages);
                    core::mem::replace(&mut state.pages, Pages::Users(weak))
                }
                Pages::Users(_) => return Ok(0),
            };
            drop(state);
            drop(freed);
            drop(segment);
            SEGMENTS.lock().sweep();
        }
        // There is no swap: what is there stays.
        SHM_LOCK | SHM_UNLOCK => state.permissions.check_owner()?,
        other => {
            klog!(Info, "shmctl: command {} is not known", other);
            return Err(Errno::EINVAL);
        }
    }
    Ok(0)
}
