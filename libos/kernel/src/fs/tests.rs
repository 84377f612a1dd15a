//! The VFS as a whole, on file systems in memory: walks, permissions, mounts, opening.

use super::inode::NewKind;
use super::mount::{self, Mount, MountFlags, Super, Unmount};
use super::namespace::{self, Remove, Rename};
use super::open::open;
use super::path::{Path, describe};
use super::ramfs::{Limits, RamFs};
use super::types::{OpenFlags, SetAttr};
use super::walk::{Follow, Scope, Walk, lookup};
use crate::base::{Errno, Result};
use crate::process::Credentials;
use alloc::sync::Arc;

pub(super) struct World {
    pub scope: Scope,
    pub cwd: Path,
}

fn user(uid: u32, gid: u32) -> Credentials {
    Credentials {
        uid,
        euid: uid,
        suid: uid,
        fsuid: uid,
        gid,
        egid: gid,
        sgid: gid,
        fsgid: gid,
        groups: [].into(),
    }
}

fn small(pages: usize) -> Arc<RamFs> {
    let limits = Limits {
        pages,
        inodes: 1000,
    };
    RamFs::new("tmpfs", limits, 0o755)
}

fn set_attr(w: &World, path: &str, change: SetAttr) {
    let mut decide = |_| Ok(change.clone());
    let path = w.find(path).unwrap();
    path.inode().set_attr(&mut decide).unwrap();
}

impl World {
    pub fn new() -> World {
        let root = Mount::first(small(100), "test");
        let scope = Scope {
            creds: Arc::new(Credentials::root()),
            root: root.clone(),
            umask: 0o022,
        };
        World { scope, cwd: root }
    }

    fn become_user(&mut self, uid: u32, gid: u32) {
        self.scope.creds = Arc::new(user(uid, gid));
    }

    fn walk<'a>(&'a self, path: &'a str) -> Walk<'a> {
        Walk::new(&self.scope, self.cwd.clone(), path.as_bytes()).unwrap()
    }

    fn make(&self, path: &str, kind: NewKind<'_>, perm: u16) -> Result<Path> {
        namespace::create(self.walk(path), &self.scope, kind, perm)
    }

    pub fn mkdir(&self, path: &str) -> Path {
        self.make(path, NewKind::Directory, 0o777).unwrap()
    }

    pub fn touch(&self, path: &str) -> Path {
        self.make(path, NewKind::File, 0o666).unwrap()
    }

    fn symlink(&self, to: &str, path: &str) {
        self.make(path, NewKind::Symlink(to.as_bytes()), 0o777)
            .unwrap();
    }

    pub fn find(&self, path: &str) -> Result<Path> {
        lookup(&self.scope, self.cwd.clone(), path.as_bytes(), Follow::Yes)
    }

    fn name(&self, path: &Path) -> String {
        String::from_utf8(describe(path, &self.scope.root).unwrap().text).unwrap()
    }

    /// What `path` leads to, as the root sees it.
    fn shows(&self, path: &str) -> Result<String> {
        self.find(path).map(|p| self.name(&p))
    }

    pub fn remove(&self, path: &str, what: Remove) -> Result<()> {
        namespace::remove(self.walk(path), &self.scope, what)
    }

    pub fn rename(&self, from: &str, to: &str, how: Rename) -> Result<()> {
        namespace::rename(self.walk(from), self.walk(to), &self.scope, how)
    }

    pub fn open(&self, path: &str, flags: OpenFlags) -> Result<Arc<super::File>> {
        let walk = Walk::new(&self.scope, self.cwd.clone(), path.as_bytes())?;
        open(&self.scope, walk, flags, 0o666)
    }
}

#[test]
fn dots_and_slashes_lead_where_they_should() {
    let w = World::new();
    w.mkdir("a");
    w.mkdir("a/b");
    w.touch("a/f");
    for (path, place) in [
        ("/", "/"),
        ("//a///b//", "/a/b"),
        ("a/./b/..", "/a"),
        ("/../../a", "/a"),
        ("a/b/../f", "/a/f"),
        (".", "/"),
    ] {
        assert_eq!(w.shows(path).as_deref(), Ok(place), "{path}");
    }
    assert_eq!(w.shows("a/f/"), Err(Errno::ENOTDIR));
    assert_eq!(w.shows("a/f/.."), Err(Errno::ENOTDIR));
    assert_eq!(w.shows("a/f/x"), Err(Errno::ENOTDIR));
    assert_eq!(w.shows("a/x/y"), Err(Errno::ENOENT));
    assert_eq!(w.shows(""), Err(Errno::ENOENT));
}

#[test]
fn names_and_paths_have_a_limit() {
    let w = World::new();
    w.touch(&"n".repeat(255));
    assert_eq!(
        w.make(&"n".repeat(256), NewKind::File, 0o644).err(),
        Some(Errno::ENAMETOOLONG)
    );
    assert_eq!(w.shows(&"x".repeat(256)), Err(Errno::ENAMETOOLONG));
    assert_eq!(w.shows(&"/.".repeat(2048)), Err(Errno::ENAMETOOLONG));
    assert_eq!(w.shows(&"/.".repeat(2047)).as_deref(), Ok("/"));
}

#[test]
fn symbolic_links_are_followed_up_to_a_limit() {
    let w = World::new();
    w.mkdir("d");
    w.touch("d/f");
    w.symlink("d", "to_dir");
    w.symlink("/d/f", "to_file");
    w.symlink("to_dir/f", "chain");
    w.symlink("nowhere", "dangling");
    w.symlink("loop", "loop");
    assert_eq!(w.shows("to_dir/f").as_deref(), Ok("/d/f"));
    assert_eq!(w.shows("chain").as_deref(), Ok("/d/f"));
    assert_eq!(w.shows("to_dir/").as_deref(), Ok("/d"));
    assert_eq!(w.shows("to_file/"), Err(Errno::ENOTDIR));
    assert_eq!(w.shows("dangling"), Err(Errno::ENOENT));
    assert_eq!(w.shows("loop"), Err(Errno::ELOOP));
    let link = lookup(&w.scope, w.cwd.clone(), b"dangling", Follow::No).unwrap();
    assert_eq!(w.name(&link), "/dangling");
    w.symlink("f", "l0");
    w.touch("f");
    for i in 1..=41 {
        w.symlink(&format!("l{}", i - 1), &format!("l{i}"));
    }
    assert_eq!(w.shows("l39").as_deref(), Ok("/f"));
    assert_eq!(w.shows("l40"), Err(Errno::ELOOP));
}

#[test]
fn mounts_cover_and_uncover() {
    let w = World::new();
    let at = w.mkdir("mnt");
    w.touch("mnt/under");
    w.mkdir("other");
    let fs = small(10);
    mount::mount(Super::new(fs), &at, "none", MountFlags::empty()).unwrap();
    assert_eq!(w.shows("mnt/under"), Err(Errno::ENOENT));
    w.mkdir("mnt/sub");
    assert_eq!(w.shows("mnt/sub/../..").as_deref(), Ok("/"));
    assert_eq!(w.shows("mnt/sub").as_deref(), Ok("/mnt/sub"));
    assert_eq!(w.remove("mnt", Remove::Directory), Err(Errno::EBUSY));
    assert_eq!(
        w.rename("mnt/sub", "other/sub", Rename::Replace),
        Err(Errno::EXDEV)
    );
    let inside = w.find("mnt/sub").unwrap();
    assert_eq!(
        mount::unmount(w.find("mnt").unwrap(), Unmount::IfIdle),
        Err(Errno::EBUSY)
    );
    drop(inside);
    mount::unmount(w.find("mnt").unwrap(), Unmount::IfIdle).unwrap();
    assert_eq!(w.shows("mnt/under").as_deref(), Ok("/mnt/under"));
    assert_eq!(
        mount::unmount(w.find("mnt").unwrap(), Unmount::IfIdle),
        Err(Errno::EINVAL)
    );
}

#[test]
fn a_read_only_mount_refuses_changes() {
    let w = World::new();
    let at = w.mkdir("ro");
    let m = mount::mount(Super::new(small(10)), &at, "none", MountFlags::empty()).unwrap();
    w.touch("ro/f");
    m.set_flags(MountFlags::RDONLY).unwrap();
    assert_eq!(
        w.make("ro/g", NewKind::File, 0o644).err(),
        Some(Errno::EROFS)
    );
    assert_eq!(w.remove("ro/f", Remove::File), Err(Errno::EROFS));
    assert_eq!(w.open("ro/f", OpenFlags::WRONLY).err(), Some(Errno::EROFS));
    assert!(w.open("ro/f", OpenFlags::empty()).is_ok());
}

#[test]
fn users_get_what_the_bits_give_them() {
    let mut w = World::new();
    w.make("private", NewKind::Directory, 0o700).unwrap();
    w.touch("private/f");
    w.make("tmp", NewKind::Directory, 0o777).unwrap();
    let sticky = SetAttr {
        perm: Some(0o1777),
        ..Default::default()
    };
    set_attr(&w, "tmp", sticky);
    w.touch("tmp/roots");
    w.become_user(1000, 1000);
    assert_eq!(w.shows("private/f"), Err(Errno::EACCES));
    assert_eq!(
        w.make("mine", NewKind::File, 0o644).err(),
        Some(Errno::EACCES)
    );
    w.touch("tmp/mine");
    assert_eq!(w.remove("tmp/roots", Remove::File), Err(Errno::EPERM));
    assert_eq!(
        w.open("tmp/roots", OpenFlags::WRONLY).err(),
        Some(Errno::EACCES)
    );
    assert!(w.open("tmp/roots", OpenFlags::empty()).is_ok());
    assert_eq!(
        w.rename("tmp/mine", "tmp/roots", Rename::Replace),
        Err(Errno::EPERM)
    );
    let m = w.find("tmp/mine").unwrap().inode().metadata().unwrap();
    assert_eq!((m.uid, m.gid, m.perm), (1000, 1000, 0o644));
    w.remove("tmp/mine", Remove::File).unwrap();
}

#[test]
fn a_setgid_directory_hands_its_group_down() {
    let w = World::new();
    w.mkdir("g");
    let change = SetAttr {
        perm: Some(0o2775),
        gid: Some(50),
        ..Default::default()
    };
    set_attr(&w, "g", change);
    let sub = w.mkdir("g/sub").inode().metadata().unwrap();
    assert_eq!((sub.gid, sub.perm), (50, 0o2755));
    let f = w.touch("g/f").inode().metadata().unwrap();
    assert_eq!((f.gid, f.perm), (50, 0o644));
}

#[test]
fn opening_creates_excludes_and_refuses() {
    let w = World::new();
    let creat = OpenFlags::CREAT | OpenFlags::RDWR;
    w.open("f", creat | OpenFlags::EXCL).unwrap();
    assert_eq!(
        w.open("f", creat | OpenFlags::EXCL).err(),
        Some(Errno::EEXIST)
    );
    w.symlink("through", "link");
    w.open("link", creat).unwrap();
    assert_eq!(w.shows("through").as_deref(), Ok("/through"));
    assert_eq!(
        w.open("link", OpenFlags::NOFOLLOW).err(),
        Some(Errno::ELOOP)
    );
    assert_eq!(
        w.open("link", creat | OpenFlags::EXCL).err(),
        Some(Errno::EEXIST)
    );
    w.mkdir("d");
    assert_eq!(w.open("d", OpenFlags::WRONLY).err(), Some(Errno::EISDIR));
    assert_eq!(w.open("d", creat).err(), Some(Errno::EISDIR));
    assert_eq!(w.open("new/", creat).err(), Some(Errno::EISDIR));
    assert_eq!(
        w.open("f", OpenFlags::DIRECTORY).err(),
        Some(Errno::ENOTDIR)
    );
    assert!(w.open("d", OpenFlags::DIRECTORY).is_ok());
    let place = w.open("f", OpenFlags::PATH).unwrap();
    assert_eq!(
        place.read(&mut crate::user::Buffer::kernel_mut(&mut [0; 4])),
        Err(Errno::EBADF)
    );
}

#[test]
fn removal_tells_files_from_directories() {
    let w = World::new();
    w.mkdir("d");
    w.touch("d/f");
    assert_eq!(w.remove("d", Remove::File), Err(Errno::EISDIR));
    assert_eq!(w.remove("d/f", Remove::Directory), Err(Errno::ENOTDIR));
    assert_eq!(w.remove("d", Remove::Directory), Err(Errno::ENOTEMPTY));
    assert_eq!(w.remove("d/.", Remove::Directory), Err(Errno::EINVAL));
    assert_eq!(w.remove("/", Remove::Directory), Err(Errno::EBUSY));
    let f = w.find("d/f").unwrap();
    w.remove("d/f", Remove::File).unwrap();
    assert_eq!(w.name(&f), "/d/f (deleted)");
    w.remove("d/", Remove::Directory).unwrap();
    assert_eq!(w.shows("d"), Err(Errno::ENOENT));
}

#[test]
fn renaming_moves_names_and_guards_the_tree() {
    let w = World::new();
    w.mkdir("a");
    w.mkdir("a/b");
    w.touch("a/b/f");
    assert_eq!(w.rename("a", "a/b/c", Rename::Replace), Err(Errno::EINVAL));
    assert_eq!(
        w.rename("a/b/f", "a", Rename::Replace),
        Err(Errno::ENOTEMPTY)
    );
    w.mkdir("other");
    assert_eq!(
        w.rename("a/b/f", "other", Rename::Replace),
        Err(Errno::EISDIR)
    );
    assert_eq!(w.rename("a/b", "a", Rename::Replace), Err(Errno::ENOTEMPTY));
    let f = w.find("a/b/f").unwrap();
    w.rename("a/b", "moved", Rename::NoReplace).unwrap();
    assert_eq!(w.name(&f), "/moved/f");
    assert_eq!(w.shows("a/b"), Err(Errno::ENOENT));
    w.touch("g");
    assert_eq!(
        w.rename("g", "moved", Rename::NoReplace),
        Err(Errno::EEXIST)
    );
    w.rename("g", "moved", Rename::Exchange).unwrap();
    assert_eq!(w.name(&f), "/g/f");
    assert_eq!(w.rename("g/f", "g/f", Rename::Replace), Ok(()));
}

#[test]
fn hard_links_share_and_directories_have_none() {
    let w = World::new();
    let f = w.touch("f");
    let d = w.mkdir("d");
    namespace::link(&f, w.walk("d/g"), &w.scope).unwrap();
    assert_eq!(w.find("d/g").unwrap().inode().metadata().unwrap().nlink, 2);
    assert_eq!(
        namespace::link(&f, w.walk("d/g"), &w.scope),
        Err(Errno::EEXIST)
    );
    assert_eq!(
        namespace::link(&d, w.walk("e"), &w.scope),
        Err(Errno::EPERM)
    );
}
