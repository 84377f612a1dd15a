//! Redirections of built-ins: a file opened, or a descriptor copied.

use super::expand;
use crate::System;
use enumset::EnumSet;
use std::ffi::CString;
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
    /// Redirects as told. `None` leaves everything as it was: yash does what takes more, and explains what fails. Of
    /// several files the first may have been created or cut already, so not more than one is opened here.
    pub async fn perform(env: &Env<System>, redirs: &[Redir]) -> Option<Self> {
        let mut done = Redirected {
            system: env.system.clone(),
            saved: Vec::new(),
        };
        let opens = redirs.iter().filter(|redir| !copies(redir));
        if opens.count() > 1 {
            return None;
        }
        for redir in redirs {
            done.add(env, redir).await?;
        }
        Some(done)
    }

    async fn add(&mut self, env: &Env<System>, redir: &Redir) -> Option<()> {
        let RedirBody::Normal { operator, operand } = &redir.body else {
            return None;
        };
        let fd = user_fd(redir.fd_or_default().0)?;
        let operand = expand::single(env, operand)?;
        let (access, flags) = match operator {
            RedirOp::FileIn => (OfdAccess::ReadOnly, EnumSet::empty()),
            RedirOp::FileOut if env.options.get(Clobber) == Off => return None,
            RedirOp::FileOut | RedirOp::FileClobber => {
                (OfdAccess::WriteOnly, OpenFlag::Create | OpenFlag::Truncate)
            }
            RedirOp::FileAppend => (OfdAccess::WriteOnly, OpenFlag::Create | OpenFlag::Append),
            RedirOp::FdIn => return self.copy(fd, &operand, OfdAccess::ReadOnly),
            RedirOp::FdOut => return self.copy(fd, &operand, OfdAccess::WriteOnly),
            _ => return None,
        };
        let path = CString::new(operand).ok()?;
        let mode = Mode::ALL_READ.union(Mode::ALL_WRITE);
        self.save(fd)?;
        let file = self.system.open(&path, access, flags, mode).await.ok()?;
        if file != fd {
            let result = self.system.dup2(file, fd);
            _ = self.system.close(file);
            result.ok()?;
        }
        Some(())
    }

    fn copy(&mut self, fd: Fd, from: &str, wanted: OfdAccess) -> Option<()> {
        let from = user_fd(from.parse().ok()?)?;
        let access = self.system.ofd_access(from).ok()?;
        if access != wanted && access != OfdAccess::ReadWrite {
            return None;
        }
        self.save(fd)?;
        if from != fd {
            self.system.dup2(from, fd).ok()?;
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

fn copies(redir: &Redir) -> bool {
    matches!(
        redir.body,
        RedirBody::Normal {
            operator: RedirOp::FdIn | RedirOp::FdOut,
            ..
        }
    )
}

/// A descriptor that cannot be one of the shell's own, which are above.
fn user_fd(fd: i32) -> Option<Fd> {
    (0..MIN_INTERNAL_FD.0).contains(&fd).then_some(Fd(fd))
}
