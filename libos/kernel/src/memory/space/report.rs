//! What `/proc` says about a space.

use super::AddressSpace;
use crate::base::{Errno, Result};
use crate::memory::Protection;
use crate::memory::area::{Area, AreaFlags, Backing};
use alloc::string::String;
use alloc::vec::Vec;

/// One line of `/proc/PID/maps`.
#[derive(Clone, Debug)]
pub struct AreaInfo {
    pub start: usize,
    pub end: usize,
    pub protection: Protection,
    pub shared: bool,
    pub offset: u64,
    /// Device and inode number of the file.
    pub device: u64,
    pub inode: u64,
    /// Path, `[heap]`, `[stack]`, `[image]` or empty.
    pub name: String,
}

/// Sizes in pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// All areas.
    pub size: usize,
    /// Frames mapped.
    pub resident: usize,
    /// The most that were.
    pub peak: usize,
    /// Of these, frames of files and shared memory.
    pub shared: usize,
    /// Program code.
    pub text: usize,
    /// Private writable memory without the stack.
    pub data: usize,
    /// The main stack.
    pub stack: usize,
    /// Translation tables.
    pub tables: usize,
}

impl AddressSpace {
    /// Calls `f` for every area, from low to high, with no lock held.
    pub fn for_each_area(&self, mut f: impl FnMut(AreaInfo)) -> Result<()> {
        let mut areas: Vec<Area> = Vec::new();
        {
            let inner = self.inner.lock();
            areas
                .try_reserve_exact(inner.areas.count())
                .map_err(|_| Errno::ENOMEM)?;
            areas.extend(inner.areas.iter().cloned());
        }
        for area in areas {
            let mut info = AreaInfo {
                start: area.start,
                end: area.end,
                protection: area.protection,
                shared: area.shared,
                offset: 0,
                device: 0,
                inode: 0,
                name: String::new(),
            };
            match &area.backing {
                Backing::File { source, offset } => {
                    (info.device, info.inode) = source.identity();
                    (info.offset, info.name) = (*offset, source.name());
                }
                Backing::Image | Backing::Pristine(_) => info.name = "[image]".into(),
                Backing::Anonymous if area.flags.contains(AreaFlags::HEAP) => {
                    info.name = "[heap]".into()
                }
                Backing::Anonymous if area.flags.contains(AreaFlags::STACK) => {
                    info.name = "[stack]".into()
                }
                Backing::Anonymous => {}
            }
            f(info);
        }
        Ok(())
    }

    /// The sizes that `/proc/PID/{stat,statm,status}` show.
    pub fn counters(&self) -> Counters {
        let inner = self.inner.lock();
        let mut c = Counters {
            size: inner.size,
            resident: self.resident_pages(),
            peak: self.peak_pages(),
            data: inner.data_pages(),
            tables: inner.table.table_count(),
            ..Counters::default()
        };
        for area in inner.areas.iter() {
            if area.protection.contains(Protection::EXEC) {
                c.text += area.pages();
            }
            if area.flags.contains(AreaFlags::STACK) {
                c.stack += area.pages();
            }
            if matches!(area.backing, Backing::File { .. }) {
                inner.table.for_each_leaf(area.start, area.end, |_, slots| {
                    c.shared += slots.iter().filter(|s| s.get().is_owned()).count();
                });
            }
        }
        c
    }
}
