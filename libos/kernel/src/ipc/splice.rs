//! Moving data through pipes without copying it: `splice`, `tee`, `vmsplice`, `sendfile` (splice(2), tee(2), sendfile(2)).
//!
//! Slots move from pipe to pipe with their pages. A file's page is lent to the pipe as it lies in the page cache, and like on Linux shows
//! what is written to the file before it is read. What leaves a pipe for a file is taken out first; what the file did not
//! accept is put back, and no other reader gets in between.

use super::caller;
use super::pipe::{PIPE_BUF, Pipe, State, Wait};
use super::ring::Slot;
use crate::base::sync::SpinLockGuard;
use crate::base::{Errno, PAGE_SIZE, Result};
use crate::fs::pieces::{Lend, MAX_RW_COUNT, Offset, check_pair, copy, piece_at, read_pieces};
use crate::fs::{File, OpenFlags};
use crate::memory::frames::Piece;
use crate::user::{Buffer, UserPtr};
use alloc::vec::Vec;

const SPLICE_F_NONBLOCK: u32 = 2;
const SPLICE_F_ALL: u32 = 15;
/// Slots on their way from a pipe to a file at a time.
const BATCH: usize = 16;

fn wait_of(flags: u32, files: &[&File]) -> Wait {
    if flags & SPLICE_F_NONBLOCK != 0 || files.iter().any(|file| file.nonblocking()) {
        Wait::No
    } else {
        Wait::Yes
    }
}

/// A pipe that nobody reads.
fn broken() -> Errno {
    caller::raise_sigpipe();
    Errno::EPIPE
}

/// The older pipe first: their numbers order the two.
fn lock_both<'a>(a: &'a Pipe, b: &'a Pipe) -> (SpinLockGuard<'a, State>, SpinLockGuard<'a, State>) {
    if a.id < b.id {
        let first = a.state.lock();
        (first, b.state.lock_nested())
    } else {
        let second = b.state.lock();
        (a.state.lock_nested(), second)
    }
}

/// What becomes of the bytes in the first pipe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Original {
    Moves,
    Stays,
}

/// From pipe to pipe, as much as there is and fits; waits for the first slot.
fn pipe_to_pipe(
    source: &Pipe,
    sink: &Pipe,
    count: usize,
    original: Original,
    wait: Wait,
) -> Result<usize> {
    if core::ptr::eq(source, sink) {
        return Err(Errno::EINVAL);
    }
    loop {
        let (mut from, mut to) = lock_both(source, sink);
        if to.readers == 0 && (!from.ring.is_empty() || from.writers == 0) {
            drop((from, to));
            return Err(broken());
        }
        if from.moving || from.ring.is_empty() {
            if from.writers == 0 && !from.moving {
                return Ok(0);
            }
            drop((from, to));
            source.wait_for_bytes(wait)?;
            continue;
        }
        if to.ring.free_slots() == 0 {
            drop((from, to));
            sink.wait_for_room(PIPE_BUF, wait)?;
            continue;
        }
        let done = match original {
            Original::Moves => move_slots(&mut from, &mut to, count),
            Original::Stays => share_slots(&from, &mut to, count),
        };
        let took = from.took();
        let put = to.put();
        drop((from, to));
        source.wake(took);
        sink.wake(put);
        return done;
    }
}

fn move_slots(from: &mut State, to: &mut State, count: usize) -> Result<usize> {
    let mut done = 0;
    while done < count && to.ring.free_slots() > 0 {
        let Some(slot) = from.ring.take_slot(count - done) else {
            break;
        };
        let n = slot.len();
        if let Err((e, slot)) = to.ring.push_slot(slot) {
            from.ring.put_back(slot);
            return if done > 0 { Ok(done) } else { Err(e) };
        }
        done += n;
    }
    Ok(done)
}

fn share_slots(from: &State, to: &mut State, count: usize) -> Result<usize> {
    let mut done = 0;
    let mut index = 0;
    while done < count && to.ring.free_slots() > 0 {
        let Some(slot) = from.ring.share_slot(index, count - done) else {
            break;
        };
        let n = slot.len();
        if let Err((e, _)) = to.ring.push_slot(slot) {
            return if done > 0 { Ok(done) } else { Err(e) };
        }
        done += n;
        index += 1;
    }
    Ok(done)
}

/// Adds pieces to a pipe until `next` has no more. `next` is told how many slots are free and is asked only while some are.
fn push(sink: &Pipe, pieces: impl Iterator<Item = Piece>) -> Result<usize> {
    let mut state = sink.state.lock();
    if state.readers == 0 {
        drop(state);
        return Err(broken());
    }
    let mut done = 0;
    let mut failed = Ok(());
    for piece in pieces {
        let n = piece.len();
        if let Err((e, _)) = state.ring.push_slot(Slot::lent(piece)) {
            failed = Err(e);
            break;
        }
        done += n;
    }
    let wakes = state.put();
    drop(state);
    sink.wake(wakes);
    if done == 0 {
        failed.map(|()| 0)
    } else {
        Ok(done)
    }
}

/// From a file into a pipe, as much as fits now; waits for the first slot.
fn file_to_pipe(
    input: &File,
    from: &mut Offset,
    sink: &Pipe,
    count: usize,
    wait: Wait,
) -> Result<usize> {
    let slots = loop {
        let state = sink.state.lock();
        if state.readers == 0 {
            drop(state);
            return Err(broken());
        }
        match state.ring.free_slots() {
            0 => {
                drop(state);
                sink.wait_for_room(PIPE_BUF, wait)?;
            }
            n => break n,
        }
    };
    if !input.seekable() {
        // What a stream gave cannot be put back: it goes in, be there room for it or not by then.
        return push(sink, read_pieces(input, count.min(slots * PAGE_SIZE))?);
    }
    let start = from.place(input);
    let mut done = 0;
    let mut batch: Vec<Piece> = Vec::new();
    batch
        .try_reserve_exact(slots.min(count.div_ceil(PAGE_SIZE) + 1))
        .map_err(|_| Errno::ENOMEM)?;
    let mut failed = Ok(());
    while done < count && batch.len() < slots {
        match piece_at(input, start + done as u64, count - done, Lend::IfPossible) {
            Ok(Some(piece)) => {
                done += piece.len();
                batch.push(piece);
            }
            Ok(None) => break,
            Err(e) => {
                failed = Err(e);
                break;
            }
        }
    }
    if batch.is_empty() {
        return failed.map(|()| 0);
    }
    let moved = push(sink, batch.into_iter())?;
    from.consumed(input, moved)?;
    Ok(moved)
}

/// From a pipe into a file: what is there, waiting for the first slot.
fn pipe_to_file(
    source: &Pipe,
    output: &File,
    to: &mut Offset,
    count: usize,
    wait: Wait,
) -> Result<usize> {
    let mut done = 0;
    while done < count {
        let mut state = source.state.lock();
        if state.moving || state.ring.is_empty() {
            let over = state.writers == 0 && !state.moving;
            drop(state);
            if done > 0 || over {
                break;
            }
            source.wait_for_bytes(wait)?;
            continue;
        }
        let mut batch: [Option<Slot>; BATCH] = [const { None }; BATCH];
        let mut taken = 0;
        for place in &mut batch {
            if done + taken < count {
                *place = state.ring.take_slot(count - done - taken);
                taken += place.as_ref().map_or(0, Slot::len);
            }
        }
        state.moving = true;
        drop(state);
        let mut failed = None;
        for place in &mut batch {
            let Some(slot) = place else { break };
            match to.write(output, slot.bytes()) {
                Ok(n) => {
                    done += n;
                    slot.advance(n);
                }
                Err(e) => failed = Some(e),
            }
            if slot.len() > 0 {
                break;
            }
            *place = None;
        }
        let short = batch.iter().any(Option::is_some);
        source.moved(batch.into_iter().flatten());
        match failed {
            Some(e) if done == 0 => return Err(e),
            _ if short => break,
            _ => {}
        }
    }
    Ok(done)
}

pub fn sys_splice(
    in_fd: i32,
    in_offset: UserPtr<i64>,
    out_fd: i32,
    out_offset: UserPtr<i64>,
    count: usize,
    flags: u32,
) -> Result<usize> {
    if flags & !SPLICE_F_ALL != 0 {
        return Err(Errno::EINVAL);
    }
    if count == 0 {
        return Ok(0);
    }
    let count = count.min(MAX_RW_COUNT);
    let (input, output) = (caller::file(in_fd)?, caller::file(out_fd)?);
    check_pair(&input, &output)?;
    let (source, sink) = (input.ops_as::<Pipe>(), output.ops_as::<Pipe>());
    if (source.is_some() && !in_offset.is_null()) || (sink.is_some() && !out_offset.is_null()) {
        return Err(Errno::ESPIPE);
    }
    match (source, sink) {
        (None, None) => Err(Errno::EINVAL),
        (Some(source), Some(sink)) => {
            let wait = wait_of(flags, &[&input, &output]);
            pipe_to_pipe(source, sink, count, Original::Moves, wait)
        }
        (Some(source), None) => {
            let mut to = Offset::new(out_offset)?;
            if output.flags().contains(OpenFlags::APPEND) || (to.is_given() && !output.seekable()) {
                return Err(Errno::EINVAL);
            }
            let wait = wait_of(flags, &[&input]);
            if output.ops().is_some_and(|ops| ops.is_sink()) {
                return source.take(wait, |ring| Ok(ring.discard(count)));
            }
            let moved = pipe_to_file(source, &output, &mut to, count, wait)?;
            to.store()?;
            Ok(moved)
        }
        (None, Some(sink)) => {
            let mut from = Offset::new(in_offset)?;
            if from.is_given() && !input.seekable() {
                return Err(Errno::EINVAL);
            }
            let wait = wait_of(flags, &[&output]);
            let moved = file_to_pipe(&input, &mut from, sink, count, wait)?;
            from.store()?;
            Ok(moved)
        }
    }
}

pub fn sys_tee(in_fd: i32, out_fd: i32, count: usize, flags: u32) -> Result<usize> {
    if flags & !SPLICE_F_ALL != 0 {
        return Err(Errno::EINVAL);
    }
    if count == 0 {
        return Ok(0);
    }
    let (input, output) = (caller::file(in_fd)?, caller::file(out_fd)?);
    check_pair(&input, &output)?;
    let (Some(source), Some(sink)) = (input.ops_as::<Pipe>(), output.ops_as::<Pipe>()) else {
        return Err(Errno::EINVAL);
    };
    let wait = wait_of(flags, &[&input, &output]);
    pipe_to_pipe(source, sink, count, Original::Stays, wait)
}

pub fn sys_sendfile(out_fd: i32, in_fd: i32, offset: UserPtr<i64>, count: usize) -> Result<usize> {
    let (input, output) = (caller::file(in_fd)?, caller::file(out_fd)?);
    check_pair(&input, &output)?;
    if output.flags().contains(OpenFlags::APPEND) {
        return Err(Errno::EINVAL);
    }
    let mut from = Offset::new(offset)?;
    if from.is_given() && !input.seekable() {
        return Err(Errno::ESPIPE);
    }
    let count = count.min(MAX_RW_COUNT);
    if count == 0 {
        return Ok(0);
    }
    let moved = match output.ops_as::<Pipe>() {
        Some(sink) => file_to_pipe(&input, &mut from, sink, count, wait_of(0, &[&output]))?,
        None if !input.seekable() => return Err(Errno::EINVAL),
        None => {
            let mut to = Offset::of_file();
            copy(&input, &mut from, &output, &mut to, count, Lend::IfPossible)?
        }
    };
    from.store()?;
    Ok(moved)
}

/// A program's pages are copied into the pipe, never lent to it; from a pipe, it is a `readv`.
pub fn sys_vmsplice(fd: i32, iov: UserPtr<[usize; 2]>, count: usize, flags: u32) -> Result<usize> {
    if flags & !SPLICE_F_ALL != 0 {
        return Err(Errno::EINVAL);
    }
    let file = caller::file(fd)?;
    let pipe = file.ops_as::<Pipe>().ok_or(Errno::EBADF)?;
    let wait = wait_of(flags, &[&file]);
    let mut buf = Buffer::user_vec(iov, count)?;
    if file.flags().writable() {
        pipe.put_all(&mut buf, wait)
    } else if buf.is_empty() {
        Ok(0)
    } else {
        pipe.take(wait, |ring| ring.drain(&mut buf))
    }
}
