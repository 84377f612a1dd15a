//! Open file descriptions: what a descriptor refers to, shared by `dup` and `fork`.
//!
//! Regular files and directories are served by their inode. Everything that behaves in its own way (pipes, terminals,
//! devices, event files) brings a [`FileOps`].

use super::mount::Mount;
use super::path::Path;
use super::sleep_lock::SleepLock;
use super::types::{FileType, Metadata, OpenFlags, PollEvents};
use crate::base::{Errno, Result};
use crate::memory::frames::Piece;
use crate::process::wait::PollTable;
use crate::user::Buffer;
use alloc::string::String;
use alloc::sync::Arc;
use core::any::Any;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// How many open file descriptions there are, for `/proc/sys/fs/file-nr`.
static OPEN: AtomicUsize = AtomicUsize::new(0);

pub fn open_count() -> usize {
    OPEN.load(Ordering::Relaxed)
}

/// What a read or write at the file's own offset does with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offsets {
    /// There is none: a stream.
    None,
    /// It is moved, but nobody else is kept from moving it meanwhile: a device.
    Loose,
    /// One after the other: what Linux does for regular files.
    InTurn,
}

/// The behaviour of an open file that is not simply an inode's contents.
///
/// `file` is the open file description, for its flags (`file.nonblocking()`); one `FileOps` may serve many of them.
pub trait FileOps: Send + Sync + Any {
    /// Fills `buf`. `at` is the offset if there are [`offsets`](Self::offsets), else `None`. 0 is end of file. A file that is
    /// `file.nonblocking()` answers `EAGAIN` where it would wait.
    fn read(&self, _file: &File, _buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        Err(Errno::EINVAL)
    }
    /// Drains `buf`; as `read`.
    fn write(&self, _file: &File, _buf: &mut Buffer<'_>, _at: Option<u64>) -> Result<usize> {
        Err(Errno::EINVAL)
    }
    /// Registers with `table` every queue that may make the file ready, then says what is ready now.
    fn poll(&self, _file: &File, _table: Option<&mut PollTable>) -> PollEvents {
        PollEvents::IN | PollEvents::OUT | PollEvents::RDNORM | PollEvents::WRNORM
    }
    /// Whether `epoll` takes it: what is always ready cannot be watched.
    fn can_be_watched(&self) -> bool {
        self.offsets() == Offsets::None
    }
    /// `FIONBIO`, `FIOCLEX` and `FIONCLEX` never get here.
    fn ioctl(&self, _file: &File, _cmd: u32, _arg: usize) -> Result<usize> {
        Err(Errno::ENOTTY)
    }
    /// Whether reads and writes take offsets, and how they share the file's own. Without, `lseek` and `pread` are `ESPIPE`.
    fn offsets(&self) -> Offsets {
        Offsets::None
    }
    /// `lseek` of a file without offsets that has places all the same (`/dev/kmsg`).
    fn seek(&self, _offset: i64, _whence: super::io::Whence) -> Result<u64> {
        Err(Errno::ESPIPE)
    }
    /// Mapping it maps anonymous memory (`/dev/zero`); without, it cannot be mapped.
    fn maps_anonymous(&self) -> bool {
        false
    }
    /// Flags have been changed by `F_SETFL` or `FIONBIO`.
    fn flags_changed(&self, _file: &File) {}
    /// The last reference to the open file description is gone.
    fn release(&self, _file: &File) {}
    /// For `fstat` of a file without a path; a file that has one reports its inode.
    fn metadata(&self) -> Result<Metadata> {
        Ok(Metadata::anonymous(FileType::Anonymous, 1))
    }
    /// What `/proc/self/fd/N` shows of a file without a path: `pipe:[17]`, `anon_inode:[eventfd]`.
    fn name(&self) -> String {
        String::from("anon_inode:[file]")
    }
    /// Opens the same object anew, through `/proc/self/fd/N`, of a file without a path.
    fn reopen(&self, _flags: OpenFlags) -> Result<Arc<dyn FileOps>> {
        Err(Errno::ENXIO)
    }
    /// A page of what a read at any offset would give, to be lent instead of copied (`/dev/zero`).
    fn lend(&self) -> Option<Piece> {
        None
    }

    // Pipes.
    /// Whether this is a pipe, for `splice`, `tee` and the `F_*PIPE_SZ` commands.
    fn is_pipe(&self) -> bool {
        false
    }
    fn pipe_size(&self) -> Result<usize> {
        Err(Errno::EBADF)
    }
    fn set_pipe_size(&self, _size: usize) -> Result<usize> {
        Err(Errno::EBADF)
    }
    /// Whether writes vanish without a trace (`/dev/null`).
    fn is_sink(&self) -> bool {
        false
    }

    fn as_any(&self) -> &dyn Any;
}

/// An open file description.
pub struct File {
    /// `None`: the inode itself serves the file.
    pub(super) ops: Option<Arc<dyn FileOps>>,
    /// `None`: the file never had a name.
    pub(super) path: Option<Path>,
    /// What `ops` say, which is asked for at every call.
    pub(super) offsets: Offsets,
    /// [`OpenFlags`]; access mode fixed, status flags changed by `fcntl`.
    flags: AtomicU32,
    /// The offset. Changed only with `pos_lock` held; read without it.
    pub(super) pos: AtomicU64,
    /// Makes a read or write and its move of the offset one step (POSIX 2.9.7). Taken before any lock of the inode.
    pub(super) pos_lock: SleepLock,
    /// Whom `F_SETOWN` named, for `F_GETOWN`: nothing is sent to anybody.
    pub(super) owner: AtomicU32,
}

impl File {
    /// An open file without a name, served by `ops`.
    pub fn anonymous(ops: Arc<dyn FileOps>, flags: OpenFlags) -> Arc<File> {
        Self::build(Some(ops), None, flags)
    }

    pub(super) fn build(
        ops: Option<Arc<dyn FileOps>>,
        path: Option<Path>,
        flags: OpenFlags,
    ) -> Arc<File> {
        OPEN.fetch_add(1, Ordering::Relaxed);
        let file = Arc::new(File {
            offsets: ops.as_ref().map_or(Offsets::InTurn, |ops| ops.offsets()),
            ops,
            path,
            flags: AtomicU32::new(flags.difference(OpenFlags::CREATION).bits()),
            pos: AtomicU64::new(0),
            pos_lock: SleepLock::new(),
            owner: AtomicU32::new(0),
        });
        if let Some(mount) = file.written_mount() {
            mount.add_writer();
        }
        file
    }

    /// The mount through which the file may be written to: what goes to a device does not count.
    pub(super) fn written_mount(&self) -> Option<&Mount> {
        let path = self.path.as_ref().filter(|_| self.ops.is_none())?;
        self.flags().writable().then_some(&*path.mount)
    }

    pub fn flags(&self) -> OpenFlags {
        OpenFlags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }

    /// Replaces the settable status flags.
    pub fn set_flags(&self, flags: OpenFlags) {
        let keep = self.flags().difference(OpenFlags::SETTABLE);
        let new = keep | flags.intersection(OpenFlags::SETTABLE);
        self.flags.store(new.bits(), Ordering::Relaxed);
        if let Some(ops) = &self.ops {
            ops.flags_changed(self);
        }
    }

    pub fn nonblocking(&self) -> bool {
        self.flags().contains(OpenFlags::NONBLOCK)
    }

    /// The behaviour, for files that bring their own.
    pub fn ops(&self) -> Option<&Arc<dyn FileOps>> {
        self.ops.as_ref()
    }

    /// The behaviour, if it is a `T`.
    pub fn ops_as<T: FileOps>(&self) -> Option<&T> {
        self.ops.as_ref()?.as_any().downcast_ref()
    }

    pub fn path(&self) -> Option<&Path> {
        self.path.as_ref()
    }

    /// What is ready now; files served by their inode always are, unless they only name a place.
    pub fn poll(&self, table: Option<&mut PollTable>) -> PollEvents {
        match &self.ops {
            Some(ops) => ops.poll(self, table),
            None if self.flags().contains(OpenFlags::PATH) => PollEvents::NVAL,
            None => PollEvents::IN | PollEvents::OUT | PollEvents::RDNORM | PollEvents::WRNORM,
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        super::locks::on_release(self);
        if let Some(mount) = self.written_mount() {
            mount.drop_writer();
        }
        if let Some(ops) = self.ops.take() {
            ops.release(self);
        }
        if super::notify::active() {
            super::notify::closed(self);
        }
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}
