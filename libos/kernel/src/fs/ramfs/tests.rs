use super::*;
use crate::fs::inode::*;
use crate::fs::types::{FileType, Hashed};
use crate::user::Buffer;
use alloc::vec::Vec;

fn fs(pages: usize) -> Arc<RamFs> {
    limited(pages, 10_000)
}

fn limited(pages: usize, inodes: usize) -> Arc<RamFs> {
    RamFs::new("tmpfs", Limits { pages, inodes }, 0o755)
}

fn new(kind: NewKind<'_>) -> NewInode<'_> {
    NewInode {
        kind,
        perm: 0o644,
        uid: 0,
        gid: 0,
    }
}

fn file(fs: &RamFs, name: &[u8]) -> Arc<dyn Inode> {
    fs.root_dir()
        .create(Hashed::new(name), &new(NewKind::File))
        .unwrap()
}

fn dir(fs: &RamFs, name: &[u8]) -> Arc<dyn Inode> {
    fs.root_dir()
        .create(Hashed::new(name), &new(NewKind::Directory))
        .unwrap()
}

fn write(inode: &Arc<dyn Inode>, bytes: &[u8], offset: u64) -> Result<usize> {
    let at = WriteAt {
        offset: Some(offset),
        limit: u64::MAX,
    };
    inode
        .write_at(&mut Buffer::kernel(bytes), at)
        .map(|(_, n)| n)
}

fn read(inode: &Arc<dyn Inode>, len: usize, offset: u64) -> Vec<u8> {
    let mut buf = alloc::vec![0xee; len];
    let n = inode
        .read_at(&mut Buffer::kernel_mut(&mut buf), offset)
        .unwrap();
    buf.truncate(n);
    buf
}

fn names(dir: &Arc<dyn Inode>, mut cookie: u64, batch: usize) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let mut taken = 0;
        dir.readdir(cookie, &mut |e| {
            all.push(e.name.to_vec());
            cookie = e.next;
            taken += 1;
            taken < batch
        })
        .unwrap();
        if taken == 0 {
            return all;
        }
    }
}

#[test]
fn what_is_written_is_read_back_across_pages() {
    let fs = fs(100);
    let f = file(&fs, b"f");
    let data: Vec<u8> = (0..10_000u32).map(|n| n as u8).collect();
    assert_eq!(write(&f, &data, 100), Ok(10_000));
    assert_eq!(read(&f, 20_000, 100), data);
    assert_eq!(read(&f, 100, 0), [0; 100]);
    assert_eq!(read(&f, 10, 10_100), []);
    assert_eq!(f.metadata().unwrap().size, 10_100);
}

#[test]
fn holes_take_no_space_and_read_as_zeros() {
    let fs = fs(100);
    let f = file(&fs, b"f");
    write(&f, b"end", 1 << 30).unwrap();
    assert_eq!(f.metadata().unwrap().blocks, 8);
    assert_eq!(read(&f, 5, (1 << 30) - 2), b"\0\0end");
    assert_eq!(f.seek(SeekFor::Data, 0), Ok(1 << 30));
    assert_eq!(f.seek(SeekFor::Hole, 0), Ok(0));
    assert_eq!(f.seek(SeekFor::Hole, 1 << 30), Ok((1 << 30) + 3));
    assert_eq!(f.seek(SeekFor::Data, (1 << 30) + 3), Err(Errno::ENXIO));
}

#[test]
fn what_truncation_cut_off_does_not_come_back() {
    let fs = fs(100);
    let f = file(&fs, b"f");
    write(&f, &[7; 9000], 0).unwrap();
    f.truncate(10).unwrap();
    f.truncate(9000).unwrap();
    assert_eq!(read(&f, 20, 0), [[7; 10], [0; 10]].concat());
    assert_eq!(read(&f, 9000, 4096), alloc::vec![0; 9000 - 4096]);
    assert_eq!(f.metadata().unwrap().blocks, 8);
}

#[test]
fn a_full_file_system_says_so_and_recovers() {
    let fs = fs(3);
    let f = file(&fs, b"f");
    assert_eq!(write(&f, &[1; 5 * 4096], 0), Ok(3 * 4096));
    assert_eq!(write(&f, b"x", 3 * 4096), Err(Errno::ENOSPC));
    assert_eq!(write(&f, b"x", 5), Ok(1));
    assert_eq!(fs.stat().unwrap().free, 0);
    drop(f);
    fs.root_dir().unlink(Hashed::new(b"f")).unwrap();
    assert_eq!(fs.stat().unwrap().free, 3);
}

#[test]
fn an_unlinked_file_lives_as_long_as_it_is_held() {
    let fs = fs(10);
    let f = file(&fs, b"f");
    write(&f, b"still here", 0).unwrap();
    fs.root_dir().unlink(Hashed::new(b"f")).unwrap();
    assert_eq!(f.metadata().unwrap().nlink, 0);
    assert_eq!(read(&f, 10, 0), b"still here");
    assert_eq!(
        fs.root_dir().link(Hashed::new(b"g"), &f),
        Err(Errno::ENOENT)
    );
}

#[test]
fn a_nameless_file_can_be_given_a_name_once_made() {
    let fs = fs(10);
    let f = fs.root_dir().tmpfile(&new(NewKind::File), true).unwrap();
    assert_eq!(f.metadata().unwrap().nlink, 0);
    fs.root_dir().link(Hashed::new(b"named"), &f).unwrap();
    assert_eq!(f.metadata().unwrap().nlink, 1);
}

#[test]
fn limits_are_honoured() {
    let fs = fs(10);
    let f = file(&fs, b"f");
    let at = |offset| WriteAt { offset, limit: 10 };
    assert_eq!(
        f.write_at(&mut Buffer::kernel(&[1; 20]), at(Some(4))),
        Ok((4, 6))
    );
    assert_eq!(
        f.write_at(&mut Buffer::kernel(&[1; 20]), at(None)),
        Err(Errno::EFBIG)
    );
    assert_eq!(f.truncate(u64::MAX), Err(Errno::EFBIG));
}

#[test]
fn pages_that_are_cut_off_do_not_come_back() {
    static PACKED: [u8; 4096] = [7; 4096];
    let fs = fs(10);
    for round in 0..3000 {
        let contents = Contents::new(&PACKED, 0);
        let start = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                let _ = contents.page(&fs.shared, 0);
            });
            start.wait();
            contents.truncate(&fs.shared, 100, || {}).unwrap();
        });
        contents.truncate(&fs.shared, 4096, || {}).unwrap();
        let mut buf = [0xee; 4096];
        let n = contents.read_at(&mut Buffer::kernel_mut(&mut buf), 0);
        assert_eq!(n, Ok(4096));
        assert!(buf[100..].iter().all(|&b| b == 0), "round {round}");
        contents.truncate(&fs.shared, 0, || {}).unwrap();
        assert_eq!(fs.shared.used.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn packed_contents_are_copied_only_where_written() {
    static PACKED: [u8; 10_000] = [5; 10_000];
    let fs = fs(10);
    let body = Body::packed(&PACKED);
    let f: Arc<dyn Inode> = fs
        .root_dir()
        .add(b"f", body, 0o644, 0, 0, Timespec::default())
        .unwrap();
    assert_eq!(
        (f.metadata().unwrap().blocks, fs.stat().unwrap().free),
        (3 * 8, 10)
    );
    write(&f, b"x", 5000).unwrap();
    assert_eq!(
        (f.metadata().unwrap().blocks, fs.stat().unwrap().free),
        (3 * 8, 9)
    );
    assert_eq!(read(&f, 3, 4999), b"\x05x\x05");
    assert_eq!(read(&f, 20_000, 0).len(), 10_000);
    f.truncate(6000).unwrap();
    f.truncate(9000).unwrap();
    assert_eq!(read(&f, 3, 5998), b"\x05\x05\0");
    assert_eq!(read(&f, 1, 8500), b"\0");
}

#[test]
fn punching_gives_pages_back() {
    let fs = fs(10);
    let f = file(&fs, b"f");
    write(&f, &[1; 5 * 4096], 0).unwrap();
    f.allocate(Allocate::PunchHole, 100, 3 * 4096).unwrap();
    assert_eq!(f.metadata().unwrap().blocks, 3 * 8);
    assert_eq!(f.metadata().unwrap().size, 5 * 4096);
    assert_eq!(read(&f, 2, 99), b"\x01\0");
    assert_eq!(read(&f, 2, 3 * 4096 + 99), b"\0\x01");
    f.allocate(Allocate::KeepSize, 0, 7 * 4096).unwrap();
    assert_eq!(f.metadata().unwrap().size, 5 * 4096);
    assert_eq!(f.metadata().unwrap().blocks, 7 * 8);
}

#[test]
fn mapped_pages_and_writes_are_the_same_memory() {
    let fs = fs(10);
    let f = file(&fs, b"f");
    write(&f, b"abc", 0).unwrap();
    let mut page = f.page(0, PageFor::Write).unwrap();
    page.as_mut_slice()[1] = b'X';
    assert_eq!(read(&f, 3, 0), b"aXc");
    assert_eq!(f.page(1, PageFor::Read).err(), Some(Errno::ENXIO));
}

#[test]
fn directories_count_their_links() {
    let fs = fs(10);
    let root: Arc<dyn Inode> = fs.root_dir().clone();
    let d = dir(&fs, b"d");
    assert_eq!(
        (root.metadata().unwrap().nlink, d.metadata().unwrap().nlink),
        (3, 2)
    );
    d.create(Hashed::new(b"sub"), &new(NewKind::Directory))
        .unwrap();
    assert_eq!(d.metadata().unwrap().nlink, 3);
    assert_eq!(root.rmdir(Hashed::new(b"d")), Err(Errno::ENOTEMPTY));
    d.rename(
        Hashed::new(b"sub"),
        &root,
        Hashed::new(b"sub"),
        RenameHow::Replace,
    )
    .unwrap();
    assert_eq!(
        (root.metadata().unwrap().nlink, d.metadata().unwrap().nlink),
        (4, 2)
    );
    root.rmdir(Hashed::new(b"d")).unwrap();
    assert_eq!(
        d.create(Hashed::new(b"x"), &new(NewKind::File)).err(),
        Some(Errno::ENOENT)
    );
    assert_eq!(root.metadata().unwrap().nlink, 3);
}

#[test]
fn reading_a_directory_survives_changes_to_it() {
    let fs = fs(10);
    let root: Arc<dyn Inode> = fs.root_dir().clone();
    for i in 0..100 {
        file(&fs, format!("f{i:02}").as_bytes());
    }
    assert_eq!(names(&root, 0, 7).len(), 100);
    // rm -r: each batch is removed before the next is read.
    let (mut cookie, mut removed) = (0, 0);
    loop {
        let mut batch = Vec::new();
        root.readdir(cookie, &mut |e| {
            batch.push(e.name.to_vec());
            cookie = e.next;
            batch.len() < 9
        })
        .unwrap();
        if batch.is_empty() {
            break;
        }
        removed += batch.len();
        batch
            .iter()
            .for_each(|n| root.unlink(Hashed::new(n)).unwrap());
    }
    assert_eq!(removed, 100);
    assert_eq!(names(&root, 0, 9), Vec::<Vec<u8>>::new());
}

#[test]
fn renaming_replaces_and_exchanges() {
    let fs = fs(10);
    let root: Arc<dyn Inode> = fs.root_dir().clone();
    let (a, b) = (file(&fs, b"a"), file(&fs, b"b"));
    root.rename(
        Hashed::new(b"a"),
        &root,
        Hashed::new(b"b"),
        RenameHow::Exchange,
    )
    .unwrap();
    assert_eq!(root.lookup(Hashed::new(b"a")).unwrap().ino(), b.ino());
    root.rename(
        Hashed::new(b"a"),
        &root,
        Hashed::new(b"b"),
        RenameHow::Replace,
    )
    .unwrap();
    assert_eq!(root.lookup(Hashed::new(b"b")).unwrap().ino(), b.ino());
    assert_eq!(a.metadata().unwrap().nlink, 0);
    assert_eq!(root.lookup(Hashed::new(b"a")).err(), Some(Errno::ENOENT));
}

#[test]
fn attributes_of_ones_own_are_kept() {
    let fs = fs(10);
    let f = file(&fs, b"f");
    assert_eq!(f.get_xattr(b"user.a").err(), Some(Errno::ENODATA));
    f.set_xattr(b"user.a", b"1".to_vec(), XattrSet::Create)
        .unwrap();
    assert_eq!(
        f.set_xattr(b"user.a", b"2".to_vec(), XattrSet::Create),
        Err(Errno::EEXIST)
    );
    assert_eq!(
        f.set_xattr(b"user.b", b"2".to_vec(), XattrSet::Replace),
        Err(Errno::ENODATA)
    );
    f.set_xattr(b"user.b", b"".to_vec(), XattrSet::Any).unwrap();
    assert_eq!(f.list_xattr().unwrap(), b"user.a\0user.b\0");
    f.remove_xattr(b"user.a").unwrap();
    assert_eq!(f.list_xattr().unwrap(), b"user.b\0");
}

#[test]
fn attributes_and_names_are_paid_for() {
    let fs = limited(100, 100);
    let used = || 100 - fs.stat().unwrap().files_free;
    let f = file(&fs, b"f");
    let value = alloc::vec![7; 60_000];
    f.set_xattr(b"user.a", value.clone(), XattrSet::Any)
        .unwrap();
    let full = f.set_xattr(b"user.b", value.clone(), XattrSet::Any);
    assert_eq!(full, Err(Errno::ENOSPC));
    // What is replaced is given back.
    f.set_xattr(b"user.a", b"short".to_vec(), XattrSet::Any)
        .unwrap();
    f.set_xattr(b"user.b", value, XattrSet::Any).unwrap();
    f.remove_xattr(b"user.b").unwrap();
    assert_eq!(used(), 3);
    drop(f);
    fs.root_dir().unlink(Hashed::new(b"f")).unwrap();
    assert_eq!(used(), 1);
    let target = alloc::vec![b'x'; 4000];
    let link = |n: u32| {
        let name = n.to_string();
        fs.root_dir()
            .create(
                Hashed::new(name.as_bytes()),
                &new(NewKind::Symlink(&target)),
            )
            .map(drop)
    };
    let made = (0..100).take_while(|&n| link(n).is_ok()).count();
    assert_eq!(made, 99 * 1024 / 5024);
}

#[test]
fn names_given_and_taken_at_once_are_all_paid_for() {
    const ROUNDS: usize = 3000;
    let fs = limited(100, 100);
    let dirs = [dir(&fs, b"a"), dir(&fs, b"b")];
    let root = fs.root_dir();
    let free = || fs.stat().unwrap().files_free;
    let before = free();
    for _ in 0..ROUNDS {
        let unnamed = root.tmpfile(&new(NewKind::File), true).unwrap();
        let start = std::sync::Barrier::new(dirs.len());
        std::thread::scope(|s| {
            for dir in &dirs {
                s.spawn(|| {
                    start.wait();
                    // It may have had its name and lost it by then.
                    if dir.link(Hashed::new(b"f"), &unnamed).is_ok() {
                        dir.unlink(Hashed::new(b"f")).unwrap();
                    }
                });
            }
        });
        drop(unnamed);
    }
    assert_eq!(free(), before);
}

#[test]
fn a_name_that_is_not_given_costs_nothing() {
    let fs = limited(100, 100);
    let root = fs.root_dir();
    file(&fs, b"taken");
    let free = || fs.stat().unwrap().files_free;
    let unnamed = root.tmpfile(&new(NewKind::File), true).unwrap();
    let before = free();
    let taken = root.link(Hashed::new(b"taken"), &unnamed);
    assert_eq!(taken, Err(Errno::EEXIST));
    assert_eq!(unnamed.metadata().unwrap().nlink, 0);
    root.link(Hashed::new(b"f"), &unnamed).unwrap();
    assert_eq!(free(), before);
    root.unlink(Hashed::new(b"f")).unwrap();
    let gone = root.link(Hashed::new(b"f"), &unnamed);
    assert_eq!((gone, free()), (Err(Errno::ENOENT), before));
}

#[test]
fn as_many_attributes_as_can_be_listed_can_be_set() {
    let fs = limited(100, 1000);
    let f = file(&fs, b"f");
    let name = |n: usize| alloc::format!("user.{n:0>248}").into_bytes();
    let set = |n: usize| f.set_xattr(&name(n), Vec::new(), XattrSet::Any);
    let made = (0..1000).take_while(|&n| set(n).is_ok()).count();
    assert_eq!(set(made), Err(Errno::ENOSPC));
    assert_eq!(f.list_xattr().unwrap().len(), made * 254);
    assert_eq!(made, 65536 / 254);
    // One that is there already takes no more.
    assert_eq!(set(0), Ok(()));
    f.remove_xattr(&name(5)).unwrap();
    assert_eq!(set(made), Ok(()));
}

#[test]
fn seals_forbid_what_they_say() {
    let fs = fs(10);
    let ram = RamInode::memfd(&fs, 0o777, 0, 0, 0);
    let f: Arc<dyn Inode> = ram.clone();
    write(&f, b"data", 0).unwrap();
    ram.contents()
        .unwrap()
        .add_seals(seal::GROW | seal::SHRINK)
        .unwrap();
    assert_eq!(write(&f, b"xy", 3), Ok(1));
    assert_eq!(f.truncate(2), Err(Errno::EPERM));
    ram.contents()
        .unwrap()
        .add_seals(seal::WRITE | seal::SEAL)
        .unwrap();
    assert_eq!(write(&f, b"x", 0), Err(Errno::EPERM));
    assert_eq!(
        ram.contents().unwrap().add_seals(seal::WRITE),
        Err(Errno::EPERM)
    );
    assert_eq!(f.kind(), FileType::Regular);
}
