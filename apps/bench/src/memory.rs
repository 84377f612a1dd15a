//! Mappings, page faults, the allocator and copying.

use std::{hint::black_box, time::Instant};

use crate::{
    measure::{Measure, Sample, nanoseconds, repeat, repeat_timed},
    sys::{self, PAGE},
};

pub const MEASURES: &[Measure] = &[
    Measure {
        name: "mmap",
        about: "mmap and munmap of 64 KiB, untouched",
        limit: 10,
        run: || mapping(64 << 10, 0),
    },
    Measure {
        name: "mmap_touch",
        about: "mmap of 64 KiB, a write to each page, munmap",
        limit: 10,
        run: || mapping(64 << 10, 64 << 10),
    },
    Measure {
        name: "fault_zero",
        about: "first write to a fresh page",
        limit: 10,
        run: fault_zero,
    },
    Measure {
        name: "fault_cow",
        about: "first write to a page shared by fork",
        limit: 10,
        run: fault_cow,
    },
    Measure {
        name: "malloc_64",
        about: "malloc and free of 64 bytes",
        limit: 10,
        run: || allocation(64),
    },
    Measure {
        name: "malloc_4k",
        about: "malloc and free of 4 KiB",
        limit: 10,
        run: || allocation(4 << 10),
    },
    Measure {
        name: "malloc_256k",
        about: "malloc and free of 256 KiB",
        limit: 10,
        run: || allocation(256 << 10),
    },
    Measure {
        name: "malloc_mix",
        about: "one of 1,000 live blocks of 16 to 1,024 bytes replaced",
        limit: 10,
        run: allocation_mix,
    },
    Measure {
        name: "memcpy_8",
        about: "memcpy of 8 bytes",
        limit: 10,
        run: || copying(8),
    },
    Measure {
        name: "memcpy_64",
        about: "memcpy of 64 bytes",
        limit: 10,
        run: || copying(64),
    },
    Measure {
        name: "memcpy_512",
        about: "memcpy of 512 bytes",
        limit: 10,
        run: || copying(512),
    },
    Measure {
        name: "memcpy_4k",
        about: "memcpy of 4 KiB",
        limit: 10,
        run: || copying(4 << 10),
    },
    Measure {
        name: "memcpy_64k",
        about: "memcpy of 64 KiB",
        limit: 10,
        run: || copying(64 << 10),
    },
    Measure {
        name: "memcpy_1m",
        about: "memcpy of 1 MiB",
        limit: 10,
        run: || copying(1 << 20),
    },
];

fn mapping(len: usize, touched: usize) -> Result<Sample, String> {
    repeat(1_000, || {
        let at = sys::map(len, libc::MAP_PRIVATE)?;
        // SAFETY: the mapping is writable, `touched` is at most its length, and it is ours alone.
        unsafe {
            sys::touch(at, touched);
            sys::unmap(at, len)
        }
    })
}

/// Pages in one round of a fault measure.
const PAGES: usize = 512;

fn fault_zero() -> Result<Sample, String> {
    let len = PAGES * PAGE;
    repeat_timed(PAGES as u64, || {
        let at = sys::map(len, libc::MAP_PRIVATE)?;
        let start = Instant::now();
        // SAFETY: writable for that length.
        unsafe { sys::touch(at, len) };
        let took = nanoseconds(start);
        // SAFETY: mapped above with this length.
        unsafe { sys::unmap(at, len)? };
        Ok(took)
    })
}

fn fault_cow() -> Result<Sample, String> {
    let len = PAGES * PAGE;
    let at = sys::map(len, libc::MAP_PRIVATE)?;
    // The child leaves its time here.
    let shared = sys::map(PAGE, libc::MAP_SHARED)?.cast::<u64>();
    // SAFETY: writable for that length.
    unsafe { sys::touch(at, len) };
    let sample = repeat_timed(PAGES as u64, || {
        let child = sys::fork(|| {
            let start = Instant::now();
            // SAFETY: writable for that length; the result has a page of its own.
            unsafe {
                sys::touch(at, len);
                shared.write_volatile(nanoseconds(start));
            }
            0
        })?;
        sys::wait_for_success(child)?;
        // SAFETY: the child has ended.
        Ok(unsafe { shared.read_volatile() })
    });
    // SAFETY: mapped above with these lengths.
    unsafe {
        sys::unmap(at, len)?;
        sys::unmap(shared.cast(), PAGE)?;
    }
    sample
}

fn allocation(len: usize) -> Result<Sample, String> {
    repeat(5_000, || {
        // SAFETY: what malloc gives is passed to free at once.
        unsafe { libc::free(black_box(libc::malloc(black_box(len)))) };
        Ok(())
    })
}

fn allocation_mix() -> Result<Sample, String> {
    let mut blocks: Vec<*mut libc::c_void> = vec![std::ptr::null_mut(); 1_000];
    let mut random = 1u32;
    let sample = repeat(20_000, || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let slot = &mut blocks[(random >> 8) as usize % 1_000];
        // SAFETY: each slot holds null or a block that malloc gave and nothing freed since.
        unsafe {
            libc::free(*slot);
            *slot = black_box(libc::malloc(16 + (random >> 20) as usize % 1_009));
        }
        Ok(())
    });
    for block in blocks {
        // SAFETY: as above; the slots are used no more.
        unsafe { libc::free(block) };
    }
    sample
}

fn copying(len: usize) -> Result<Sample, String> {
    let source = vec![7u8; len];
    let mut target = vec![0u8; len];
    let repetitions = (16 << 20) / (len as u64 + 512);
    repeat(repetitions.min(20_000), || {
        // Through black_box, so that the length is no constant and the call stays a call.
        // SAFETY: both are that long and do not overlap.
        unsafe {
            libc::memcpy(
                black_box(target.as_mut_ptr()).cast(),
                black_box(source.as_ptr()).cast(),
                black_box(len),
            );
        }
        Ok(())
    })
}
