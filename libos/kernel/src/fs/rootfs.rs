//! The tree as it is at boot: the packed root file system, the linked programs, and the places that must exist.

use super::ramfs::{Body, Limits, RamFs, RamInode};
use super::tar::{self, Member, MemberKind};
use super::types::{FileType, Hashed, Name};
use crate::base::sync::Once;
use crate::base::{Errno, Result};
use crate::time::Timespec;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// The member that lists the linked programs, one name a line; it is no file of the tree.
const PROGRAMS: &[u8] = b".programs";
/// The member that names the program to start first, where the image is made for one; it is no file of the tree either.
const INIT: &[u8] = b".init";

static FIRST_PROGRAM: Once<&'static [u8]> = Once::new();

/// The program that the image is to start first, if it names one.
pub fn first_program() -> Option<&'static [u8]> {
    FIRST_PROGRAM.get().copied()
}

/// Directories that exist whether or not the archive has them, parents first.
const DIRECTORIES: &[(&str, u16)] = &[
    ("bin", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("mnt", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("usr/local", 0o755),
    ("usr/local/bin", 0o755),
    ("usr/share", 0o755),
    ("var", 0o755),
    ("var/log", 0o755),
    ("var/tmp", 0o1777),
];

/// Files that exist from the start, empty: the record of logins.
const FILES: &[(&str, u16)] = &[("run/utmp", 0o664), ("var/log/wtmp", 0o664)];

/// Links that exist unless the archive has something of that name.
const LINKS: &[(&str, &str)] = &[
    ("sbin", "bin"),
    ("usr/bin", "../bin"),
    ("usr/sbin", "../bin"),
    ("var/run", "../run"),
];

/// Builds the root file system. Members that cannot be placed are logged and left out.
pub fn build(archive: &'static [u8], programs: &[&[u8]]) -> Arc<RamFs> {
    let fs = RamFs::new("tmpfs", Limits::default(), 0o755);
    let root = fs.root_dir();
    let now = Timespec::now();
    for (path, perm) in DIRECTORIES {
        report(
            path.as_bytes(),
            place(root, path.as_bytes(), Body::directory(), *perm, now),
        );
    }
    let mut listed: &[u8] = &[];
    for member in tar::members(archive) {
        match member.kind {
            MemberKind::File(data) if clean(member.name) == PROGRAMS => listed = data,
            MemberKind::File(data) if clean(member.name) == INIT => {
                FIRST_PROGRAM.call_once(|| data);
            }
            _ => report(member.name, unpack(root, &member)),
        }
    }
    for (path, to) in LINKS {
        let link = Body::Symlink(to.as_bytes().into());
        match place(root, path.as_bytes(), link, 0o777, now) {
            Err(Errno::EEXIST) => {}
            other => report(path.as_bytes(), other),
        }
    }
    for (path, perm) in FILES {
        match place(root, path.as_bytes(), Body::file(), *perm, now) {
            Err(Errno::EEXIST) => {}
            other => report(path.as_bytes(), other),
        }
    }
    let lines = listed.split(|&b| b == b'\n');
    report(
        b"bin",
        add_programs(root, lines.chain(programs.iter().copied()), now),
    );
    report(
        b"var/log/messages",
        place(
            root,
            b"var/log/messages",
            Body::Generated(crate::log::contents),
            0o644,
            now,
        ),
    );
    fs
}

fn add_programs<'a>(
    root: &Arc<RamInode>,
    names: impl Iterator<Item = &'a [u8]>,
    now: Timespec,
) -> Result<()> {
    let bin = root.entry(b"bin")?;
    for name in names.filter(|n| !n.is_empty()) {
        match bin.add(name, Body::Program(Name::new(name)), 0o755, 0, 0, now) {
            // The list and the archive may both name it: what the user packed wins.
            Ok(_) | Err(Errno::EEXIST) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn report(path: &[u8], outcome: Result<()>) {
    if let Err(e) = outcome {
        crate::klog!(
            Warn,
            "rootfs: {}: {e:?}",
            core::str::from_utf8(path).unwrap_or("?")
        );
    }
}

/// A member's name without what archivers put around it.
fn clean(name: &[u8]) -> &[u8] {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    name.strip_suffix(b"/").unwrap_or(name)
}

/// The directory that `path` lies in, made if need be, and the last component.
fn parent_of<'p>(root: &Arc<RamInode>, path: &'p [u8]) -> Result<(Arc<RamInode>, &'p [u8])> {
    let mut dir = root.clone();
    let mut parts = path
        .split(|&b| b == b'/')
        .filter(|p| !p.is_empty())
        .peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return Ok((dir, part));
        }
        dir = match dir.entry(part) {
            Err(Errno::ENOENT) => dir.add(part, Body::directory(), 0o755, 0, 0, Timespec::now())?,
            other => other?,
        };
    }
    Err(Errno::EEXIST)
}

fn place(root: &Arc<RamInode>, path: &[u8], body: Body, perm: u16, time: Timespec) -> Result<()> {
    let (dir, name) = parent_of(root, path)?;
    dir.add(name, body, perm, 0, 0, time).map(drop)
}

fn unpack(root: &Arc<RamInode>, member: &Member<'static>) -> Result<()> {
    use super::inode::Inode;
    let joined: Vec<u8>;
    let path = if member.prefix.is_empty() {
        clean(member.name)
    } else {
        joined = [clean(member.prefix), b"/", clean(member.name)].concat();
        &joined
    };
    if path.is_empty() || path == b"." {
        return Ok(());
    }
    let (dir, name) = parent_of(root, path)?;
    let time = Timespec {
        sec: member.mtime,
        nsec: 0,
    };
    let body = match member.kind {
        MemberKind::File(data) => Body::packed(data),
        MemberKind::Symlink(to) => Body::Symlink(to.into()),
        MemberKind::Directory => match dir.entry(name) {
            // One of ours: it takes the archive's bits, unless they say no more than a plain checkout does.
            Ok(old) if old.kind() == FileType::Directory => {
                if member.perm & 0o777 != 0o755 {
                    old.set_attr(&mut |_| {
                        Ok(super::types::SetAttr {
                            perm: Some(member.perm),
                            ..Default::default()
                        })
                    })?;
                }
                return Ok(());
            }
            _ => Body::directory(),
        },
        MemberKind::HardLink(to) => {
            let (from, from_name) = parent_of(root, clean(to))?;
            let target: Arc<dyn Inode> = from.entry(from_name)?;
            return dir.link(Hashed::new(name), &target);
        }
    };
    dir.add(name, body, member.perm, member.uid, member.gid, time)
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::exec;
    use crate::fs::mount::Mount;
    use crate::fs::path::Path;
    use crate::fs::tests::World;
    use crate::fs::types::OpenFlags;
    use crate::fs::walk::Scope;
    use crate::process::Credentials;

    #[test]
    fn the_packed_tree_has_files_links_and_programs() {
        use crate::fs::tar::tests::member;
        let archive = [
            member("./", b'5', "", 0o755, b""),
            member("./etc/hosts", b'0', "", 0o600, b"127.0.0.1 localhost\n"),
            member(".programs", b'0', "", 0o644, b"ls\n[\n"),
            member("opt/deep/file", b'0', "", 0o644, b"x"),
            std::vec![0; 1024],
        ]
        .concat();
        let fs = build(archive.leak(), &[b"cat"]);
        let mount = Mount::detached(fs, "rootfs");
        let root = Path {
            dentry: mount.root.clone(),
            mount,
        };
        let scope = Scope {
            creds: Arc::new(Credentials::root()),
            root: root.clone(),
            umask: 0o022,
        };
        let w = World { scope, cwd: root };
        for program in ["/bin/ls", "/usr/bin/[", "/sbin/cat"] {
            let inode = w.find(program).unwrap().inode().clone();
            assert!(inode.linked_program(), "{program}");
            assert_eq!(inode.metadata().unwrap().perm, 0o755);
        }
        let hosts = w.find("/etc/hosts").unwrap().inode().metadata().unwrap();
        assert_eq!(
            (hosts.perm, hosts.size, hosts.mtime.sec),
            (0o600, 20, 1_700_000_000)
        );
        assert_eq!(
            w.find("/tmp").unwrap().inode().metadata().unwrap().perm,
            0o1777
        );
        assert!(w.find("/opt/deep/file").is_ok() && w.find("/var/log/messages").is_ok());
        assert_eq!(
            w.open("/bin/ls", OpenFlags::WRONLY).err(),
            Some(Errno::ETXTBSY)
        );
        let target = exec::examine(&w.scope, w.find("/bin/ls").unwrap()).unwrap();
        assert_eq!(target.program_name(), Some(&b"ls"[..]));
        assert_eq!(
            exec::examine(&w.scope, w.find("/etc/hosts").unwrap()).err(),
            Some(Errno::EACCES)
        );
        assert_eq!(
            exec::examine(&w.scope, w.find("/etc").unwrap()).err(),
            Some(Errno::EACCES)
        );
    }
}
