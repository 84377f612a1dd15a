//! Following a path (path_resolution(7)).
//!
//! A [`Walk`] holds a place and the text still to be followed. A symbolic link on the way replaces the text, so that
//! no link recurses; the last component is left to the caller, who may want to create, remove or open it.

use super::inode::Link;
use super::mount;
use super::path::Path;
use super::permission;
use super::types::{FileType, Hashed, NAME_MAX, PATH_MAX};
use crate::base::{Errno, Result, bytes};
use crate::process::Credentials;
use alloc::borrow::Cow;
use alloc::sync::Arc;

/// Symbolic links followed in one walk before it is a loop.
const LINKS_MAX: u32 = 40;

/// On whose behalf a path is followed.
pub struct Scope {
    pub creds: Arc<Credentials>,
    pub root: Path,
    pub umask: u16,
}

/// What becomes of a symbolic link in the last component.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Follow {
    Yes,
    No,
}

/// The last component of a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Last {
    /// `text[start..end]`; with a slash behind it, it must be a directory.
    Name {
        start: usize,
        end: usize,
        slash: bool,
    },
    Dot,
    DotDot,
    /// Nothing left: `/`, or the target of a magic link.
    Nothing,
}

pub struct Walk<'a> {
    scope: &'a Scope,
    /// Where the walk has got to.
    pub at: Path,
    text: Cow<'a, [u8]>,
    pos: usize,
    /// Symbolic links followed so far.
    links: u32,
}

impl<'a> Walk<'a> {
    /// Starts at `base`, or at the root if `path` is absolute.
    pub fn new(scope: &'a Scope, base: Path, path: &'a [u8]) -> Result<Self> {
        let at = if path.first() == Some(&b'/') {
            scope.root.clone()
        } else {
            base
        };
        Self::starting_at(scope, at, path)
    }

    /// Starts at `at`, which is the root if `path` is absolute.
    pub fn starting_at(scope: &'a Scope, at: Path, path: &'a [u8]) -> Result<Self> {
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        if path.len() >= PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        Ok(Walk {
            scope,
            at,
            text: Cow::Borrowed(path),
            pos: 0,
            links: 0,
        })
    }

    /// The bytes of a [`Last::Name`].
    pub fn name(&self, start: usize, end: usize) -> &[u8] {
        &self.text[start..end]
    }

    /// Follows everything but the last component.
    pub fn to_last(&mut self) -> Result<Last> {
        loop {
            let text = &self.text[..];
            let start = skip_slashes(text, self.pos);
            if start == text.len() {
                return Ok(Last::Nothing);
            }
            let end = bytes::find(&text[start..], b'/').map_or(text.len(), |n| start + n);
            let next = skip_slashes(text, end);
            let name = &text[start..end];
            self.pos = next;
            if next == text.len() {
                return Ok(match name {
                    b"." => Last::Dot,
                    b".." => Last::DotDot,
                    _ => Last::Name {
                        start,
                        end,
                        slash: end < next,
                    },
                });
            }
            match name {
                b"." => self.check_search()?,
                b".." => self.up()?,
                _ => {
                    self.check_search()?;
                    let child = child(&self.at, name)?;
                    if child.kind() == FileType::Symlink {
                        self.follow(&child, end)?;
                    } else {
                        self.at = child;
                    }
                }
            }
        }
    }

    /// Goes on at the target of `link`; `end` is where its name ended in the text.
    pub fn follow(&mut self, link: &Path, end: usize) -> Result<()> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(Errno::ELOOP);
        }
        let target = link.inode().read_link()?;
        link.accessed();
        match target {
            Link::Text(target) => {
                let mut text = target;
                if text.is_empty() {
                    return Err(Errno::ENOENT);
                }
                // Link upon link, it may be longer than any path that a program can give.
                let rest = &self.text[end..];
                text.try_reserve(rest.len()).map_err(|_| Errno::ENOMEM)?;
                text.extend_from_slice(rest);
                if text[0] == b'/' {
                    self.at = self.scope.root.clone();
                }
                self.text = Cow::Owned(text);
                self.pos = 0;
            }
            Link::Jump(path) => self.at = path,
        }
        Ok(())
    }

    /// Whether names may be looked up where the walk stands.
    pub fn check_search(&self) -> Result<()> {
        if self.at.kind() != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        permission::check_search(&**self.at.inode(), &self.scope.creds)
    }

    /// One step towards the root; at the root, none.
    pub fn up(&mut self) -> Result<()> {
        self.check_search()?;
        while self.at != self.scope.root {
            if let Some(parent) = self.at.dentry.parent()
                && !Arc::ptr_eq(&self.at.dentry, &self.at.mount.root)
            {
                // What has been moved out of what a bind mount shows does not lead to the rest.
                let mount = &self.at.mount;
                if !Arc::ptr_eq(&mount.root, &mount.sb.root) && !parent.is_within(&mount.root) {
                    return Err(Errno::ENOENT);
                }
                self.at.dentry = parent;
                mount::cross(&mut self.at);
                return Ok(());
            }
            match self.at.mount.covers() {
                Some(place) if Arc::ptr_eq(&self.at.dentry, &self.at.mount.root) => self.at = place,
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    /// Follows the whole path.
    pub fn to_end(mut self, follow: Follow) -> Result<Path> {
        let mut must_be_dir = false;
        loop {
            match self.to_last()? {
                Last::Nothing => break,
                Last::Dot => {
                    self.check_search()?;
                    break;
                }
                Last::DotDot => {
                    self.up()?;
                    break;
                }
                Last::Name { start, end, slash } => {
                    must_be_dir |= slash;
                    self.check_search()?;
                    let child = child(&self.at, self.name(start, end))?;
                    if child.kind() == FileType::Symlink && (follow == Follow::Yes || slash) {
                        self.follow(&child, end)?;
                        continue;
                    }
                    self.at = child;
                    break;
                }
            }
        }
        if must_be_dir && self.at.kind() != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        Ok(self.at)
    }
}

fn skip_slashes(text: &[u8], from: usize) -> usize {
    text[from..]
        .iter()
        .position(|&b| b != b'/')
        .map_or(text.len(), |n| from + n)
}

/// The entry `name` of the directory `parent`, and what is mounted there.
pub fn child(parent: &Path, name: &[u8]) -> Result<Path> {
    let mut path = bare_child(parent, Hashed::new(name))?;
    mount::cross(&mut path);
    Ok(path)
}

/// The entry itself, whatever is mounted over it.
fn bare_child(parent: &Path, name: Hashed<'_>) -> Result<Path> {
    let dentry = match parent.dentry.cached(name) {
        Some(dentry) => dentry,
        None if name.bytes.len() > NAME_MAX => return Err(Errno::ENAMETOOLONG),
        None if !parent.mount.sb.caches_names => {
            let inode = parent.inode().lookup(name)?;
            super::dentry::Dentry::uncached(&parent.dentry, name.bytes, inode)
        }
        None => {
            let _changing = parent.dentry.dir_lock.lock();
            return locked_child(parent, name);
        }
    };
    Ok(Path {
        mount: parent.mount.clone(),
        dentry,
    })
}

/// As [`child`] without crossing mounts, for who holds `dir_lock` of `parent`.
pub fn locked_child(parent: &Path, name: Hashed<'_>) -> Result<Path> {
    if name.bytes.len() > NAME_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    let dentry = match parent.dentry.cached(name) {
        Some(dentry) => dentry,
        None => {
            let inode = parent.inode().lookup(name)?;
            if parent.mount.sb.caches_names {
                parent.dentry.reserve(name)?;
                parent.dentry.add(name, inode)
            } else {
                super::dentry::Dentry::uncached(&parent.dentry, name.bytes, inode)
            }
        }
    };
    Ok(Path {
        mount: parent.mount.clone(),
        dentry,
    })
}

/// Follows `path` to its end.
pub fn lookup(scope: &Scope, base: Path, path: &[u8], follow: Follow) -> Result<Path> {
    Walk::new(scope, base, path)?.to_end(follow)
}
