//! The memory of a space that need not be the running one: exec's arguments, `/proc/PID/cmdline`.

use super::{Access, AddressSpace, Fault};
use crate::base::{Errno, PAGE_SIZE, Result, page_down};
use crate::memory::area::Backing;
use crate::memory::phys_to_virt;
use crate::memory::source::FileKey;
use crate::user::USER_END;
use alloc::sync::Arc;

impl AddressSpace {
    /// Copies memory at `addr` into `buf`, faulting pages in. `EFAULT` if some of it is not readable, `ENOMEM` without a frame for it.
    pub fn read_memory(&self, addr: usize, buf: &mut [u8]) -> Result<()> {
        let mut done = 0;
        self.chunks(addr, buf.len(), Access::Read, |page, offset, n| {
            // SAFETY: the page is mapped while the space's lock is held, `n` stays inside it and inside `buf`.
            unsafe {
                core::ptr::copy_nonoverlapping(page.add(offset), buf[done..].as_mut_ptr(), n)
            };
            done += n;
        })
    }

    /// Copies `data` to memory at `addr`, faulting pages in and copying shared ones. `EFAULT` if some of it is not writable, `ENOMEM`
    /// without a frame for it.
    pub fn write_memory(&self, addr: usize, data: &[u8]) -> Result<()> {
        let mut done = 0;
        self.chunks(addr, data.len(), Access::Write, |page, offset, n| {
            // SAFETY: as above; the entry is writable, so the frame is no other process's private memory.
            unsafe { core::ptr::copy_nonoverlapping(data[done..].as_ptr(), page.add(offset), n) };
            done += n;
        })
    }

    /// What names the word at `addr` for every process that shares it: what is mapped there, and the place in it. `None` for private
    /// memory, `EFAULT` for what no program may read.
    pub fn shared_key(&self, addr: usize) -> Result<Option<(usize, usize)>> {
        let mut inner = self.inner.lock();
        let i = inner.areas.find(addr).ok_or(Errno::EFAULT)?;
        let area = inner.areas.get(i);
        if area.protection.is_empty() {
            return Err(Errno::EFAULT);
        }
        let Backing::File { source, offset } = &area.backing else {
            return Ok(None);
        };
        // Not the page: it need not be there yet, and may be cut out of the file and come back as another.
        let object = match source.file() {
            Some(FileKey(file)) => file,
            None => Arc::as_ptr(source).addr(),
        };
        Ok(area
            .shared
            .then(|| (object, *offset as usize + (addr - area.start))))
    }

    /// Calls `f(page in the linear map, offset, length)` for each page of the range, with the space locked.
    fn chunks(
        &self,
        addr: usize,
        len: usize,
        access: Access,
        mut f: impl FnMut(*mut u8, usize, usize),
    ) -> Result<()> {
        let end = addr
            .checked_add(len)
            .filter(|&e| e <= USER_END)
            .ok_or(Errno::EFAULT)?;
        let mut at = addr;
        while at < end {
            let page = page_down(at);
            let n = (page + PAGE_SIZE).min(end) - at;
            let inner = self.inner.lock();
            let e = inner.table.lookup(page);
            if e.is_valid() && (access == Access::Read || e.is_writable()) {
                f(phys_to_virt(e.phys()), at - page, n);
                at += n;
            } else {
                drop(inner);
                self.handle_fault(page, access).map_err(|why| match why {
                    Fault::OutOfMemory => Errno::ENOMEM,
                    _ => Errno::EFAULT,
                })?;
            }
        }
        Ok(())
    }
}
