//! Redirections of built-ins: a file opened, or a descriptor copied.

use super::expand;
use crate::System;
use enumset::EnumSet;
use std::ffi::{CStr, CString};
use yash_env::Env;
use yash_env::io::{Fd, MIN_INTERNAL_FD};
use yash_env::option::{Clobber, Off};
use yash_env::system::{
    Close as _, Dup as _, Errno, Fcntl as _, FdFlag, Mode, OfdAccess, Open as _, OpenFlag,
};
use yash_syntax::syntax::{Redir, RedirBody, RedirOp};

/// Descriptors that have been redirected, until this is dropped.
pub struct Redirected {
    system: System,
    saved: Vec<Saved>,
}

struct Saved {
    fd: Fd,
    /// Where what it was is kept; `None`: it was closed.
    copy: Option<Fd>,
}

impl Redirected {
    /// Redirects as told. `None` leaves everything as it was: yash does what takes more, and explains what fails. To open a
    /// file may create or cut it, and meet whoever has a pipe's other end open, so all else that may be refused comes before
    /// that, and not more than one file is opened here.
    pub async fn perform(env: &Env<System>, redirs: &[Redir]) -> Option<Self> {
        let steps = plan(env, redirs)?;
        let mut done = Redirected {
            system: env.system.clone(),
            saved: Vec::new(),
        };
        for step in &steps {
            done.save(step.fd)?;
        }
        for Step { fd, access, source } in steps {
            match source {
                Source::Copy(from) if from == fd => {}
                Source::Copy(from) => _ = done.system.dup2(from, fd).ok()?,
                Source::File(path, flags) => done.open(fd, &path, access, flags).await?,
            }
        }
        Some(done)
    }

    async fn open(
        &self,
        fd: Fd,
        path: &CStr,
        access: OfdAccess,
        flags: EnumSet<OpenFlag>,
    ) -> Option<()> {
        let mode = Mode::ALL_READ.union(Mode::ALL_WRITE);
        let file = self.system.open(path, access, flags, mode).await.ok()?;
        if file != fd {
            let result = self.system.dup2(file, fd);
            _ = self.system.close(file);
            result.ok()?;
        }
        Some(())
    }

    fn save(&mut self, fd: Fd) -> Option<()> {
        let copy = match self
            .system
            .dup(fd, MIN_INTERNAL_FD, FdFlag::CloseOnExec.into())
        {
            Ok(copy) => Some(copy),
            Err(Errno::EBADF) => None,
            Err(_) => return None,
        };
        self.saved.push(Saved { fd, copy });
        Some(())
    }

    /// Lets the redirections stay.
    pub fn keep(mut self) {
        for copy in self.saved.drain(..).filter_map(|saved| saved.copy) {
            _ = self.system.close(copy);
        }
    }
}

impl Drop for Redirected {
    fn drop(&mut self) {
        for Saved { fd, copy } in self.saved.drain(..).rev() {
            match copy {
                Some(copy) => {
                    _ = self.system.dup2(copy, fd);
                    _ = self.system.close(copy);
                }
                None => _ = self.system.close(fd),
            }
        }
    }
}

/// One redirection: what becomes of a descriptor, and what it is open for then.
struct Step {
    fd: Fd,
    access: OfdAccess,
    source: Source,
}

enum Source {
    File(CString, EnumSet<OpenFlag>),
    Copy(Fd),
}

/// What the redirections ask for, if all of it can be done here. Nothing is changed yet.
fn plan(env: &Env<System>, redirs: &[Redir]) -> Option<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::with_capacity(redirs.len());
    for redir in redirs {
        let mut next = step(env, redir)?;
        match next.source {
            Source::File(..) => {
                let opens = |step: &Step| matches!(step.source, Source::File(..));
                if steps.iter().any(opens) {
                    return None;
                }
            }
            Source::Copy(from) => {
                let access = match steps.iter().rev().find(|step| step.fd == from) {
                    Some(step) => step.access,
                    None => env.system.ofd_access(from).ok()?,
                };
                if access != next.access && access != OfdAccess::ReadWrite {
                    return None;
                }
                next.access = access;
            }
        }
        steps.push(next);
    }
    Some(steps)
}

/// A redirection by itself.
fn step(env: &Env<System>, redir: &Redir) -> Option<Step> {
    let RedirBody::Normal { operator, operand } = &redir.body else {
        return None;
    };
    let fd = user_fd(redir.fd_or_default().0)?;
    let operand = expand::single(env, operand)?;
    let (access, flags) = match operator {
        RedirOp::FileIn => (OfdAccess::ReadOnly, Some(EnumSet::empty())),
        RedirOp::FileOut if env.options.get(Clobber) == Off => return None,
        RedirOp::FileOut | RedirOp::FileClobber => (
            OfdAccess::WriteOnly,
            Some(OpenFlag::Create | OpenFlag::Truncate),
        ),
        RedirOp::FileAppend => (
            OfdAccess::WriteOnly,
            Some(OpenFlag::Create | OpenFlag::Append),
        ),
        RedirOp::FdIn => (OfdAccess::ReadOnly, None),
        RedirOp::FdOut => (OfdAccess::WriteOnly, None),
        _ => return None,
    };
    let source = match flags {
        Some(flags) => Source::File(CString::new(operand).ok()?, flags),
        None => Source::Copy(user_fd(operand.parse().ok()?)?),
    };
    Some(Step { fd, access, source })
}

/// A descriptor that cannot be one of the shell's own, which are above.
fn user_fd(fd: i32) -> Option<Fd> {
    (0..MIN_INTERNAL_FD.0).contains(&fd).then_some(Fd(fd))
}
