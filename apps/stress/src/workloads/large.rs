//! Large allocations: tens of megabytes mapped, grown, cut up, shared with a child copy-on-write, given back.

use anyhow::{Context, Result, ensure};
use fastrand::Rng;

use crate::support::{End, expect_end, map, map_private, map_shared, spawn, unmap};

const PAGE: usize = 4096;

/// A mapping by its pages; each page holds its own number and a tag.
#[derive(Clone, Copy)]
struct Pages {
    at: *mut u8,
    count: usize,
}

impl Pages {
    fn word(self, page: usize) -> *mut u64 {
        assert!(page < self.count);
        // SAFETY: the page lies within the mapping.
        unsafe { self.at.add(page * PAGE).cast() }
    }

    fn write(self, tag: u64, from: usize, to: usize) {
        // SAFETY: mapped, writable, aligned, and of this process alone or written by one at a time.
        (from..to).for_each(|page| unsafe { self.word(page).write_volatile(tag ^ page as u64) });
    }

    fn verify(self, tag: u64, from: usize, to: usize) -> Result<()> {
        for page in from..to {
            // SAFETY: mapped and aligned.
            let found = unsafe { self.word(page).read_volatile() };
            ensure!(
                found == tag ^ page as u64,
                "page {page} of {} holds {found:#x}, tag {tag:#x}",
                self.count
            );
        }
        Ok(())
    }

    fn verify_zero(self, from: usize, to: usize) -> Result<()> {
        for page in from..to {
            // SAFETY: mapped and aligned.
            let found = unsafe { self.word(page).read_volatile() };
            ensure!(
                found == 0,
                "page {page} of {} is not zero but {found:#x}",
                self.count
            );
        }
        Ok(())
    }

    fn unmap(self) -> Result<()> {
        unmap(self.at, self.count * PAGE)
    }
}

pub fn step(rng: &mut Rng) -> Result<()> {
    let tag = rng.u64(1..) & !0xf_ffff;
    let most = 1 << rng.u32(8..14);
    let count = rng.usize(1..most);
    match rng.u32(..6) {
        0 => copied_on_write(rng, tag, count),
        1 => shared(tag, count),
        2 => cut_up(rng, tag, count.max(8)),
        3 => grown(rng, tag, count),
        4 => reserved(rng, tag),
        _ => {
            let pages = Pages {
                at: map_private(count * PAGE)?,
                count,
            };
            pages.write(tag, 0, count);
            pages.verify(tag, 0, count)?;
            let (from, to) = part(rng, count);
            advise(pages, from, to, libc::MADV_DONTNEED)?;
            pages.verify(tag, 0, from)?;
            pages.verify_zero(from, to)?;
            pages.verify(tag, to, count)?;
            pages.unmap()
        }
    }
}

fn part(rng: &mut Rng, count: usize) -> (usize, usize) {
    let from = rng.usize(..count);
    (from, rng.usize(from..=count))
}

fn advise(pages: Pages, from: usize, to: usize, advice: i32) -> Result<()> {
    if from < to {
        call!(madvise(pages.word(from).cast(), (to - from) * PAGE, advice))?;
    }
    Ok(())
}

/// Parent and child change different pages of the same memory.
fn copied_on_write(rng: &mut Rng, tag: u64, count: usize) -> Result<()> {
    let pages = Pages {
        at: map_private(count * PAGE)?,
        count,
    };
    pages.write(tag, 0, count);
    let (from, to) = part(rng, count);
    let child = spawn(|| {
        pages.write(!tag, from, to);
        pages.verify(tag, 0, from)?;
        pages.verify(!tag, from, to)?;
        pages.verify(tag, to, count)
    })?;
    let (own_from, own_to) = part(rng, count);
    let other = tag.rotate_left(20) & !0xf_ffff;
    pages.write(other, own_from, own_to);
    expect_end(child, End::Exit(0))?;
    pages.verify(tag, 0, own_from)?;
    pages.verify(other, own_from, own_to)?;
    pages.verify(tag, own_to, count)?;
    pages.unmap()
}

/// What the child writes to shared pages is there for the parent.
fn shared(tag: u64, count: usize) -> Result<()> {
    let pages = Pages {
        at: map_shared(count * PAGE)?,
        count,
    };
    pages.write(tag, 0, count / 2);
    let child = spawn(|| {
        pages.verify(tag, 0, count / 2)?;
        pages.write(tag, count / 2, count);
        Ok(())
    })?;
    expect_end(child, End::Exit(0))?;
    pages.verify(tag, 0, count)?;
    pages.unmap()
}

/// Holes, protected parts, and the rest keeps its contents.
fn cut_up(rng: &mut Rng, tag: u64, count: usize) -> Result<()> {
    let pages = Pages {
        at: map_private(count * PAGE)?,
        count,
    };
    pages.write(tag, 0, count);
    let mut gone = vec![false; count];
    for _ in 0..rng.u32(1..30) {
        let from = rng.usize(..count);
        let to = (from + rng.usize(1..=1 + count / 8)).min(count);
        let (at, length) = (pages.word(from).cast(), (to - from) * PAGE);
        if rng.bool() {
            call!(munmap(at, length))?;
            gone[from..to].fill(true);
        } else if !gone[from..to].contains(&true) {
            call!(mprotect(at, length, libc::PROT_READ))?;
            pages.verify(tag, from, to)?;
            call!(mprotect(at, length, libc::PROT_READ | libc::PROT_WRITE))?;
            pages.write(tag, from, to);
        }
    }
    for page in (0..count).filter(|&page| !gone[page]) {
        pages.verify(tag, page, page + 1)?;
    }
    // Over holes, too.
    pages.unmap()
}

fn grown(rng: &mut Rng, tag: u64, count: usize) -> Result<()> {
    let mut pages = Pages {
        at: map_private(count * PAGE)?,
        count,
    };
    pages.write(tag, 0, count);
    for _ in 0..rng.u32(1..6) {
        let new = rng.usize(1..=2 * pages.count);
        let (old_length, length) = (pages.count * PAGE, new * PAGE);
        let at = sys!(mremap(
            pages.at.cast(),
            old_length,
            length,
            libc::MREMAP_MAYMOVE
        ));
        ensure!(
            at != libc::MAP_FAILED,
            "mremap to {new} pages: {}",
            std::io::Error::last_os_error()
        );
        let kept = pages.count.min(new);
        pages = Pages {
            at: at.cast(),
            count: new,
        };
        pages.verify(tag, 0, kept)?;
        pages.verify_zero(kept, new)?;
        pages.write(tag, kept, new);
    }
    pages.unmap()
}

/// Address space without memory, a few pages of it used.
fn reserved(rng: &mut Rng, tag: u64) -> Result<()> {
    let count = 1 << rng.u32(14..22);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let at = map(count * PAGE, libc::PROT_NONE, flags, -1).context("address space")?;
    let pages = Pages { at, count };
    for _ in 0..rng.u32(1..40) {
        let from = rng.usize(..count);
        let to = (from + rng.usize(1..20)).min(count);
        let write = libc::PROT_READ | libc::PROT_WRITE;
        call!(mprotect(pages.word(from).cast(), (to - from) * PAGE, write))?;
        pages.write(tag, from, to);
        pages.verify(tag, from, to)?;
    }
    pages.unmap()
}
