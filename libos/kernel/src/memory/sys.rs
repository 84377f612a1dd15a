//! The operations on memory that programs call: decode, delegate, encode.

use super::area::Protection;
use super::shared::{Reserve, SharedPages};
use super::source::{Mapping, PageSource};
use super::space::{Access, AddressSpace, Advice, MapFlags, MapRequest, RemapFlags};
use crate::base::{Errno, PAGE_SIZE, Result};
use crate::process::scheduler;
use crate::user::UserPtr;
use alloc::sync::Arc;

const MAP_SHARED: u32 = 1;
const MAP_PRIVATE: u32 = 2;
const MAP_SHARED_VALIDATE: u32 = 3;
const MAP_TYPE: u32 = 0xf;
/// `MAP_DENYWRITE`, `MAP_EXECUTABLE`, `MAP_LOCKED`, `MAP_NONBLOCK`, `MAP_STACK`, `MAP_HUGETLB` and its sizes: no effect here.
const MAP_IGNORED: u32 = 0x800 | 0x1000 | 0x2000 | 0x1_0000 | 0x2_0000 | 0x3f << 26;
/// `PROT_BTI` and `PROT_MTE` are not offered; `PROT_SEM` has no effect.
const PROT_SEM: i32 = 8;

fn space() -> Arc<AddressSpace> {
    crate::process::current().process().space()
}

/// `EINVAL` for rights that there are not; mmap ignores them.
fn protection(prot: i32) -> Result<Protection> {
    u8::try_from(prot & !PROT_SEM)
        .ok()
        .and_then(Protection::from_bits)
        .ok_or(Errno::EINVAL)
}

pub fn sys_mmap(
    addr: usize,
    len: usize,
    prot: i32,
    flags: i32,
    fd: i32,
    offset: i64,
) -> Result<usize> {
    let protection = Protection::from_bits_truncate(prot as u8);
    let flags = flags as u32;
    let sharing = flags & MAP_TYPE;
    let shared = match sharing {
        MAP_PRIVATE => false,
        MAP_SHARED | MAP_SHARED_VALIDATE => true,
        _ => return Err(Errno::EINVAL),
    };
    let unknown = flags & !(MAP_TYPE | MAP_IGNORED | MapFlags::all().bits());
    if unknown != 0 && sharing == MAP_SHARED_VALIDATE {
        return Err(Errno::EOPNOTSUPP);
    }
    let map_flags = MapFlags::from_bits_truncate(flags);
    let offset = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
    if !offset.is_multiple_of(PAGE_SIZE as u64) || len == 0 {
        return Err(Errno::EINVAL);
    }
    if len > crate::user::USER_END {
        return Err(Errno::ENOMEM);
    }
    if offset
        .checked_add(len as u64)
        .is_none_or(|end| end > i64::MAX as u64)
    {
        return Err(Errno::EOVERFLOW);
    }
    let mut never_write = false;
    let mut source: Option<Arc<dyn PageSource>> = None;
    if !map_flags.contains(MapFlags::ANONYMOUS) {
        let write = protection.contains(Protection::WRITE);
        let file: Mapping = crate::fs::page_source(fd, shared, write)?;
        never_write = shared && !file.may_become_writable;
        source = file.source;
    }
    // What grows does so into anonymous memory of its own.
    if map_flags.contains(MapFlags::GROWSDOWN) && (shared || source.is_some()) {
        return Err(Errno::EINVAL);
    }
    if shared && source.is_none() {
        let reserve = match map_flags.contains(MapFlags::NORESERVE) {
            true => Reserve::Never,
            false => Reserve::Now,
        };
        let size = len.next_multiple_of(PAGE_SIZE) as u64;
        source = Some(SharedPages::new(size, "/dev/zero (deleted)", reserve)?);
    }
    // An anonymous mapping has no use for the offset.
    let offset = if map_flags.contains(MapFlags::ANONYMOUS) {
        0
    } else {
        offset
    };
    space().map(MapRequest {
        addr,
        len,
        protection,
        flags: map_flags,
        source,
        offset,
        shared,
        never_write,
    })
}

pub fn sys_munmap(addr: usize, len: usize) -> Result<usize> {
    space().unmap(addr, len)?;
    Ok(0)
}

pub fn sys_mprotect(addr: usize, len: usize, prot: i32) -> Result<usize> {
    space().protect(addr, len, protection(prot)?)?;
    Ok(0)
}

pub fn sys_mremap(
    old: usize,
    old_len: usize,
    new_len: usize,
    flags: i32,
    to: usize,
) -> Result<usize> {
    let flags = RemapFlags::from_bits(flags as u32).ok_or(Errno::EINVAL)?;
    space().remap(old, old_len, new_len, flags, to)
}

pub fn sys_brk(addr: usize) -> Result<usize> {
    Ok(space().set_break(addr))
}

pub fn sys_madvise(addr: usize, len: usize, advice: i32) -> Result<usize> {
    let advice = match advice {
        4 => Advice::Discard,
        8 => Advice::Free,
        10 => Advice::DontFork,
        11 => Advice::DoFork,
        18 => Advice::WipeOnFork,
        19 => Advice::KeepOnFork,
        22 => Advice::Populate(Access::Read),
        23 => Advice::Populate(Access::Write),
        // NORMAL RANDOM SEQUENTIAL WILLNEED, (NO)HUGEPAGE, DONTDUMP DODUMP, COLD PAGEOUT
        0..=3 | 14..=17 | 20 | 21 => Advice::Speed,
        // (UN)MERGEABLE as on a Linux without KSM.
        12 | 13 => return Err(Errno::EINVAL),
        other => {
            klog!(Info, "madvise: advice {} is not known", other);
            return Err(Errno::EINVAL);
        }
    };
    space().advise(addr, len, advice)?;
    Ok(0)
}

pub fn sys_msync(addr: usize, len: usize, flags: i32) -> Result<usize> {
    const MS_ASYNC: i32 = 1;
    const MS_INVALIDATE: i32 = 2;
    const MS_SYNC: i32 = 4;
    if flags & !(MS_ASYNC | MS_INVALIDATE | MS_SYNC) != 0
        || flags & (MS_ASYNC | MS_SYNC) == MS_ASYNC | MS_SYNC
    {
        return Err(Errno::EINVAL);
    }
    // Without MS_SYNC nothing has to happen, but the range is looked at all the same.
    if flags & MS_SYNC == 0 {
        return if !addr.is_multiple_of(PAGE_SIZE) {
            Err(Errno::EINVAL)
        } else if space().is_mapped(addr, len) {
            Ok(0)
        } else {
            Err(Errno::ENOMEM)
        };
    }
    space().sync(addr, len)?;
    Ok(0)
}

pub fn sys_mincore(addr: usize, len: usize, vec: UserPtr<u8>) -> Result<usize> {
    /// Pages that are looked at with the space locked.
    const AT_ONCE: usize = 4096;
    if !addr.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    let space = space();
    if !space.is_mapped(addr, len) {
        return Err(Errno::ENOMEM);
    }
    for first in (0..len.div_ceil(PAGE_SIZE)).step_by(AT_ONCE) {
        let at = first * PAGE_SIZE;
        let map = space.resident_map(addr + at, (len - at).min(AT_ONCE * PAGE_SIZE))?;
        vec.offset(first).write_slice(&map)?;
        if scheduler::give_way() {
            return Err(Errno::EINTR);
        }
    }
    Ok(0)
}

/// There is no swap: what is mapped and touched stays. So locking has only to check the range.
pub fn sys_mlock(addr: usize, len: usize) -> Result<usize> {
    if addr
        .checked_add(len)
        .is_none_or(|end| end > usize::MAX - PAGE_SIZE)
    {
        return Err(Errno::EINVAL);
    }
    if space().is_mapped(addr, len) {
        Ok(0)
    } else {
        Err(Errno::ENOMEM)
    }
}

pub fn sys_mlock2(addr: usize, len: usize, flags: i32) -> Result<usize> {
    const MLOCK_ONFAULT: i32 = 1;
    if flags & !MLOCK_ONFAULT != 0 {
        return Err(Errno::EINVAL);
    }
    sys_mlock(addr, len)
}

pub fn sys_munlock(addr: usize, len: usize) -> Result<usize> {
    sys_mlock(addr, len)
}

pub fn sys_mlockall(flags: i32) -> Result<usize> {
    if flags == 0 || flags & !7 != 0 || flags == 4 {
        return Err(Errno::EINVAL);
    }
    Ok(0)
}

pub fn sys_munlockall() -> Result<usize> {
    Ok(0)
}
