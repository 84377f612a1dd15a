//! The small vocabulary of files: kinds, flags, metadata, device numbers, names.

use crate::base::bytes::{hash, same};
use crate::time::Timespec;
use alloc::boxed::Box;
use bitflags::bitflags;

/// Longest name of one directory entry, in bytes.
pub const NAME_MAX: usize = 255;
/// Longest path that a call takes, the terminating NUL included.
pub const PATH_MAX: usize = 4096;

/// What an inode is; the values are those of `st_mode >> 12`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum FileType {
    /// No type bits: event files and their kin.
    Anonymous = 0,
    Fifo = 1,
    Char = 2,
    Directory = 4,
    Block = 6,
    Regular = 8,
    Symlink = 10,
    Socket = 12,
}

impl FileType {
    /// The type bits of `st_mode`.
    pub const fn mode_bits(self) -> u32 {
        (self as u32) << 12
    }

    /// The `d_type` of a directory entry has the same numbers.
    pub const fn d_type(self) -> u8 {
        self as u8
    }
}

bitflags! {
    /// `open(2)` flags and the status flags of an open file, with arm64's values.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct OpenFlags: u32 {
        const WRONLY = 0o1;
        const RDWR = 0o2;
        const CREAT = 0o100;
        const EXCL = 0o200;
        const NOCTTY = 0o400;
        const TRUNC = 0o1000;
        const APPEND = 0o2000;
        const NONBLOCK = 0o4000;
        const DSYNC = 0o10000;
        const ASYNC = 0o20000;
        const DIRECTORY = 0o40000;
        const NOFOLLOW = 0o100000;
        const DIRECT = 0o200000;
        const LARGEFILE = 0o400000;
        const NOATIME = 0o1000000;
        const CLOEXEC = 0o2000000;
        const SYNC_BIT = 0o4000000;
        const PATH = 0o10000000;
        /// What `O_TMPFILE` is besides `O_DIRECTORY`.
        const TMPFILE_BIT = 0o20000000;
    }
}

impl OpenFlags {
    /// Flags that `fcntl(F_SETFL)` may change.
    pub const SETTABLE: OpenFlags = Self::APPEND
        .union(Self::NONBLOCK)
        .union(Self::ASYNC)
        .union(Self::DIRECT)
        .union(Self::NOATIME);
    /// Flags that are about the act of opening and are not kept.
    pub const CREATION: OpenFlags = Self::CREAT
        .union(Self::EXCL)
        .union(Self::NOCTTY)
        .union(Self::TRUNC)
        .union(Self::CLOEXEC);

    pub fn readable(self) -> bool {
        !self.contains(Self::PATH) && self.bits() & 3 != 1
    }

    pub fn writable(self) -> bool {
        !self.contains(Self::PATH) && matches!(self.bits() & 3, 1 | 2)
    }
}

bitflags! {
    /// `poll(2)` events.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct PollEvents: u32 {
        const IN = 0x1;
        const PRI = 0x2;
        const OUT = 0x4;
        const ERR = 0x8;
        const HUP = 0x10;
        const NVAL = 0x20;
        const RDNORM = 0x40;
        const RDBAND = 0x80;
        const WRNORM = 0x100;
        const WRBAND = 0x200;
        const RDHUP = 0x2000;
    }
}

/// A device number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Dev {
    pub major: u32,
    pub minor: u32,
}

impl Dev {
    pub const fn new(major: u32, minor: u32) -> Self {
        Dev { major, minor }
    }

    /// As `st_rdev` and `mknod` carry it (glibc's and musl's `makedev` agree for 32-bit values).
    pub const fn encode(self) -> u64 {
        let (major, minor) = (self.major as u64, self.minor as u64);
        (minor & 0xff) | (major & 0xfff) << 8 | (minor & !0xff) << 12 | (major & !0xfff) << 32
    }

    pub const fn decode(dev: u64) -> Self {
        Dev {
            major: ((dev >> 8) & 0xfff | (dev >> 32) & !0xfff) as u32,
            minor: (dev & 0xff | (dev >> 12) & 0xffff_ff00) as u32,
        }
    }
}

/// Everything that `stat` reports.
#[derive(Clone, Debug)]
pub struct Metadata {
    pub dev: Dev,
    pub ino: u64,
    pub kind: FileType,
    /// Permission, set-id and sticky bits: the low 12 of `st_mode`.
    pub perm: u16,
    pub nlink: u32,
    pub uid: u32,
    pub gid: u32,
    pub rdev: Dev,
    pub size: u64,
    /// 512-byte units held.
    pub blocks: u64,
    pub block_size: u32,
    pub atime: Timespec,
    pub mtime: Timespec,
    pub ctime: Timespec,
    pub btime: Timespec,
}

impl Metadata {
    /// A file of `kind` with neither name nor file system: pipes, event files.
    pub fn anonymous(kind: FileType, ino: u64) -> Self {
        let zero = Timespec::default();
        Metadata {
            dev: Dev::new(0, 2),
            ino,
            kind,
            perm: 0o600,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: Dev::default(),
            size: 0,
            blocks: 0,
            block_size: 4096,
            atime: zero,
            mtime: zero,
            ctime: zero,
            btime: zero,
        }
    }

    /// `st_mode`.
    pub fn mode(&self) -> u32 {
        self.kind.mode_bits() | self.perm as u32
    }
}

/// A change of attributes; `None` leaves one as it is.
#[derive(Clone, Debug, Default)]
pub struct SetAttr {
    pub perm: Option<u16>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub atime: Option<Timespec>,
    pub mtime: Option<Timespec>,
}

/// A name that is looked for, in one table after the other.
#[derive(Clone, Copy)]
pub struct Hashed<'a> {
    pub bytes: &'a [u8],
    pub hash: u64,
}

impl<'a> Hashed<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Hashed {
            bytes,
            hash: hash(bytes),
        }
    }

    /// Whether it is this one.
    #[inline]
    pub fn is(&self, name: &Name) -> bool {
        same(self.bytes, name.as_bytes())
    }
}

/// The name of a directory entry; short ones need no allocation.
#[derive(Clone)]
pub enum Name {
    Short(u8, [u8; 22]),
    Long(Box<[u8]>),
}

impl Name {
    pub fn new(name: &[u8]) -> Self {
        if name.len() <= 22 {
            let mut bytes = [0; 22];
            bytes[..name.len()].copy_from_slice(name);
            Name::Short(name.len() as u8, bytes)
        } else {
            Name::Long(name.into())
        }
    }

    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Name::Short(len, bytes) => &bytes[..*len as usize],
            Name::Long(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_survive_encoding() {
        for dev in [
            Dev::new(1, 3),
            Dev::new(136, 300),
            Dev::new(0x12345, 0xabcdef01),
        ] {
            assert_eq!(Dev::decode(dev.encode()), dev);
        }
        assert_eq!(Dev::new(1, 3).encode(), 0x103);
    }

    #[test]
    fn names_keep_their_bytes() {
        for n in [&b"a"[..], &[b'x'; 22], &[b'y'; 255], b""] {
            assert_eq!(Name::new(n).as_bytes(), n);
        }
    }
}
