//! File contents at scale: random writes and reads, holes, truncation, mappings, appends by several, files without a name.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use anyhow::{Result, ensure};
use fastrand::Rng;

use crate::support::{End, c, expect_end, map, owned, spawn, unmap};

pub fn step(rng: &mut Rng) -> Result<()> {
    match rng.u32(..5) {
        0 => mirrored(rng, named("data")?, true),
        1 => mirrored(rng, nameless()?, false),
        2 => mapped(rng),
        3 => appended(rng),
        _ => many(rng),
    }
}

fn named(name: &str) -> Result<File> {
    Ok(OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(name)?)
}

fn nameless() -> Result<File> {
    Ok(owned(call!(memfd_create(
        c("stress").as_ptr(),
        libc::MFD_CLOEXEC
    ))?)
    .into())
}

/// Random operations on a file, and the same on bytes in memory.
fn mirrored(rng: &mut Rng, file: File, unlink: bool) -> Result<()> {
    const MOST: usize = 400_000;
    let mut mirror: Vec<u8> = Vec::new();
    if unlink && rng.bool() {
        // It lives on until it is closed.
        fs::remove_file("data")?;
    }
    for _ in 0..rng.u32(10..80) {
        let at = rng.usize(..MOST);
        match rng.u32(..10) {
            0..5 => {
                let mut data = vec![0; rng.usize(1..20_000)];
                rng.fill(&mut data);
                file.write_all_at(&data, at as u64)?;
                let end = at + data.len();
                if mirror.len() < end {
                    mirror.resize(end, 0);
                }
                mirror[at..end].copy_from_slice(&data);
            }
            5..9 => {
                let mut data = vec![0; rng.usize(1..20_000)];
                let found = file.read_at(&mut data, at as u64)?;
                let expected = mirror
                    .get(at..(at + data.len()).min(mirror.len()))
                    .unwrap_or(&[]);
                ensure!(
                    data[..found] == *expected,
                    "{found} bytes at {at} are not what was written"
                );
            }
            _ => {
                file.set_len(at as u64)?;
                mirror.resize(at, 0);
            }
        }
    }
    ensure!(
        file.metadata()?.len() == mirror.len() as u64,
        "the file has another length"
    );
    let mut all = vec![0; mirror.len()];
    file.read_exact_at(&mut all, 0)?;
    ensure!(all == mirror, "the file has other contents");
    drop(file);
    _ = unlink && fs::remove_file("data").is_ok();
    Ok(())
}

/// A mapping and the file show the same, in a child too.
fn mapped(rng: &mut Rng) -> Result<()> {
    let length = rng.usize(1..300_000);
    let file = named("mapped")?;
    file.set_len(length as u64)?;
    let at = map(
        length,
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_SHARED,
        file.as_raw_fd(),
    )?;
    let places: Vec<(usize, u8)> = (0..rng.u32(1..60))
        .map(|_| (rng.usize(..length), rng.u8(1..)))
        .collect();
    let child = spawn(|| {
        // SAFETY: within the mapping; only the child writes while it lives.
        places
            .iter()
            .for_each(|&(place, byte)| unsafe { at.add(place).write_volatile(byte) });
        Ok(())
    })?;
    expect_end(child, End::Exit(0))?;
    let mut expected = vec![0; length];
    places
        .iter()
        .for_each(|&(place, byte)| expected[place] = byte);
    let mut found = vec![0; length];
    file.read_exact_at(&mut found, 0)?;
    ensure!(
        found == expected,
        "the file is not what was written to its mapping"
    );
    let place = rng.usize(..length);
    file.write_all_at(b"!", place as u64)?;
    // SAFETY: within the mapping.
    let seen = unsafe { at.add(place).read_volatile() };
    ensure!(
        seen == b'!',
        "the mapping does not show what was written to the file"
    );
    fs::remove_file("mapped")?;
    drop(file);
    // Neither name nor descriptor is left, and yet:
    // SAFETY: within the mapping.
    let seen = unsafe { at.add(place).read_volatile() };
    ensure!(seen == b'!', "the mapping lost its file");
    unmap(at, length)
}

/// Several processes append lines to one file: none is torn or lost.
fn appended(rng: &mut Rng) -> Result<()> {
    let (writers, lines) = (rng.usize(2..5), rng.usize(5..60));
    drop(named("log")?);
    let mut children = Vec::new();
    for writer in 0..writers {
        children.push(spawn(|| {
            let file = OpenOptions::new().append(true).open("log")?;
            for line in 0..lines {
                let text = format!("{writer} {line} {}\n", "x".repeat(line * 7 % 50));
                crate::support::write_full(&file, text.as_bytes())?;
            }
            Ok(())
        })?);
    }
    for child in children {
        expect_end(child, End::Exit(0))?;
    }
    let text = fs::read_to_string("log")?;
    let mut next = vec![0; writers];
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let (writer, number) = (words[0].parse::<usize>()?, words[1].parse::<usize>()?);
        ensure!(
            writer < writers && next[writer] == number,
            "line {line:?} is out of order"
        );
        ensure!(words[2].len() == number * 7 % 50, "line {line:?} is torn");
        next[writer] += 1;
    }
    ensure!(
        next.iter().all(|&n| n == lines),
        "lines are missing: {next:?} of {lines}"
    );
    Ok(fs::remove_file("log")?)
}

/// Many small files at once.
fn many(rng: &mut Rng) -> Result<()> {
    let count = rng.usize(10..400);
    for n in 0..count {
        fs::write(format!("f{n}"), n.to_string())?;
    }
    let found = fs::read_dir(".")?.count();
    ensure!(found == count, "{found} files are listed, not {count}");
    let mut order: Vec<usize> = (0..count).collect();
    rng.shuffle(&mut order);
    for n in order {
        let name = format!("f{n}");
        ensure!(
            fs::read_to_string(&name)? == n.to_string(),
            "{name} is another file"
        );
        fs::remove_file(&name)?;
    }
    Ok(())
}
