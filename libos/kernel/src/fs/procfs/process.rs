//! A process's files that are not `stat` and `status`.

use super::out::{Out, put};
use super::source::Subject;
use crate::base::{Errno, Result};
use crate::fs::path::Path;
use crate::fs::types::Dev;
use crate::memory::Protection;

pub fn cmdline(who: &Subject, out: &mut Out) -> Result<()> {
    out.bytes(&who.arguments()?);
    Ok(())
}

pub fn environ(who: &Subject, out: &mut Out) -> Result<()> {
    out.bytes(&who.environment()?);
    Ok(())
}

pub fn comm(who: &Subject, out: &mut Out) -> Result<()> {
    out.bytes(&who.comm());
    out.bytes(b"\n");
    Ok(())
}

pub fn set_comm(who: &Subject, name: &str) -> Result<()> {
    let mut bytes = [0; 16];
    let n = name.len().min(15);
    bytes[..n].copy_from_slice(&name.as_bytes()[..n]);
    who.set_comm(bytes);
    Ok(())
}

pub fn cwd(who: &Subject) -> Result<Path> {
    Ok(who.context().cwd())
}

pub fn root(who: &Subject) -> Result<Path> {
    Ok(who.context().root())
}

pub fn exe(who: &Subject) -> Result<Path> {
    who.exe().ok_or(Errno::ENOENT)
}

pub fn oom_score(_who: &Subject, out: &mut Out) -> Result<()> {
    out.bytes(b"0\n");
    Ok(())
}

pub fn oom_score_adj(who: &Subject, out: &mut Out) -> Result<()> {
    put!(out, "{}\n", who.oom_score_adj());
    Ok(())
}

pub fn set_oom_score_adj(who: &Subject, value: &str) -> Result<()> {
    let adj: i32 = value.parse().map_err(|_| Errno::EINVAL)?;
    if !(-1000..=1000).contains(&adj) {
        return Err(Errno::EINVAL);
    }
    if adj < who.oom_score_adj() && !super::source::credentials().is_privileged() {
        return Err(Errno::EACCES);
    }
    who.set_oom_score_adj(adj);
    Ok(())
}

/// `start-end rwxp offset major:minor inode   path`; the path starts in column 74.
pub fn maps(who: &Subject, out: &mut Out) -> Result<()> {
    who.areas(|area| {
        let bit = |p: Protection, c: char| if area.protection.contains(p) { c } else { '-' };
        let dev = Dev::decode(area.device);
        let line = out.0.len();
        put!(
            out,
            "{:08x}-{:08x} {}{}{}{} {:08x} {:02x}:{:02x} {} ",
            area.start,
            area.end,
            bit(Protection::READ, 'r'),
            bit(Protection::WRITE, 'w'),
            bit(Protection::EXEC, 'x'),
            if area.shared { 's' } else { 'p' },
            area.offset,
            dev.major,
            dev.minor,
            area.inode,
        );
        if !area.name.is_empty() {
            out.fill(line, 73);
            out.bytes(area.name.as_bytes());
        }
        out.bytes(b"\n");
    })
}

pub fn fdinfo(who: &Subject, fd: i32, out: &mut Out) -> Result<()> {
    let files = who.files();
    let file = files.get(fd).map_err(|_| Errno::ENOENT)?;
    let close = match files.on_exec(fd)? {
        crate::fs::OnExec::Close => crate::fs::OpenFlags::CLOEXEC.bits(),
        crate::fs::OnExec::Keep => 0,
    };
    let ino = file.metadata().map_or(0, |m| m.ino);
    let mount = file.path().map_or(0, |p| p.mount.id);
    put!(
        out,
        "pos:\t{}\nflags:\t0{:o}\nmnt_id:\t{}\nino:\t{}\n",
        file.offset(),
        file.flags().bits() | close,
        mount,
        ino
    );
    Ok(())
}
