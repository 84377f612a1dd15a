//! Pipes between processes and the switches that they force.

use std::time::Instant;

use crate::{
    measure::{Measure, Sample, nanoseconds, repeat_timed},
    sys,
};

macro_rules! ring {
    ($name:literal, $processes:literal, $kib:literal) => {
        Measure {
            name: $name,
            about: concat!(
                "a byte to the next of ",
                $processes,
                " processes, each walking ",
                $kib,
                " KiB"
            ),
            limit: 60,
            run: || ring($processes, $kib << 10),
        }
    };
}

pub const MEASURES: &[Measure] = &[
    Measure {
        name: "pipe_round_trip",
        about: "a byte to another process and one back",
        limit: 20,
        run: round_trip,
    },
    Measure {
        name: "pipe_64k",
        about: "64 KiB from one process to another",
        limit: 20,
        run: bandwidth,
    },
    ring!("ctx_2p_0k", 2, 0),
    ring!("ctx_2p_16k", 2, 16),
    ring!("ctx_2p_64k", 2, 64),
    ring!("ctx_8p_0k", 8, 0),
    ring!("ctx_8p_16k", 8, 16),
    ring!("ctx_8p_64k", 8, 64),
    ring!("ctx_32p_0k", 32, 0),
    ring!("ctx_32p_16k", 32, 16),
    ring!("ctx_32p_64k", 32, 64),
];

const ROUND_TRIPS: u64 = 1_000;

fn round_trip() -> Result<Sample, String> {
    let there = sys::pipe()?;
    let back = sys::pipe()?;
    let child = sys::fork(|| {
        sys::close(there[1]);
        sys::close(back[0]);
        while sys::read_byte(there[0]).is_ok() && sys::write_byte(back[1]).is_ok() {}
        0
    })?;
    sys::close(there[0]);
    sys::close(back[1]);
    let sample = repeat_timed(ROUND_TRIPS, || {
        let start = Instant::now();
        for _ in 0..ROUND_TRIPS {
            sys::write_byte(there[1])?;
            sys::read_byte(back[0])?;
        }
        Ok(nanoseconds(start))
    });
    sys::close(there[1]);
    sys::close(back[0]);
    sys::wait_for_success(child)?;
    sample
}

fn bandwidth() -> Result<Sample, String> {
    const BLOCK: usize = 64 << 10;
    const BLOCKS: u64 = 200;
    let [reader, writer] = sys::pipe()?;
    let child = sys::fork(|| {
        sys::close(reader);
        let block = vec![1u8; BLOCK];
        // SAFETY: the block is that long.
        while unsafe { libc::write(writer, block.as_ptr().cast(), BLOCK) } > 0 {}
        0
    })?;
    sys::close(writer);
    let mut block = vec![0u8; BLOCK];
    let sample = repeat_timed(BLOCKS, || {
        let start = Instant::now();
        let mut left = BLOCK * BLOCKS as usize;
        while left > 0 {
            // SAFETY: the block has that room.
            let count = unsafe { libc::read(reader, block.as_mut_ptr().cast(), BLOCK.min(left)) };
            match sys::check("read", count)? {
                0 => return Err("the writer has gone".into()),
                count => left -= count as usize,
            }
        }
        Ok(nanoseconds(start))
    });
    // SAFETY: the child is ours and not yet waited for.
    unsafe { libc::kill(child, libc::SIGKILL) };
    sys::close(reader);
    sys::wait(child)?;
    sample
}

/// A token goes round a ring of processes; whoever has it walks its own memory (lmbench lat_ctx).
///
/// The cost of one hop includes its write and its read; lmbench subtracts those.
fn ring(processes: usize, working_set: usize) -> Result<Sample, String> {
    let laps = 2_000 / processes as u64;
    let pipes = (0..processes)
        .map(|_| sys::pipe())
        .collect::<Result<Vec<_>, _>>()?;
    let mut children = Vec::new();
    for index in 1..processes {
        let mine = pipes[index][0];
        let next = pipes[(index + 1) % processes][1];
        children.push(sys::fork(|| {
            // The ring breaks, and everyone ends, only if nobody else holds its pipes.
            for &[reader, writer] in &pipes {
                if reader != mine {
                    sys::close(reader);
                }
                if writer != next {
                    sys::close(writer);
                }
            }
            let mut memory = vec![0u8; working_set];
            while sys::read_byte(mine).is_ok() {
                walk(&mut memory);
                if sys::write_byte(next).is_err() {
                    break;
                }
            }
            0
        })?);
    }
    let (first, last) = (pipes[1 % processes][1], pipes[0][0]);
    for &[reader, writer] in &pipes {
        if reader != last {
            sys::close(reader);
        }
        if writer != first {
            sys::close(writer);
        }
    }
    let mut memory = vec![0u8; working_set];
    let sample = repeat_timed(laps * processes as u64, || {
        let start = Instant::now();
        for _ in 0..laps {
            sys::write_byte(first)?;
            sys::read_byte(last)?;
            walk(&mut memory);
        }
        Ok(nanoseconds(start))
    });
    sys::close(first);
    for child in children {
        sys::wait(child)?;
    }
    sys::close(last);
    sample
}

/// Adds to every word, as lmbench's working set does.
fn walk(memory: &mut [u8]) {
    for chunk in memory.chunks_exact_mut(64) {
        chunk[0] = chunk[0].wrapping_add(1);
    }
    std::hint::black_box(memory);
}
