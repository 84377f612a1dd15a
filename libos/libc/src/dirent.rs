//! `<dirent.h>`: a buffer of `getdents64` records; they are `struct dirent` as they come.

use crate::errno::{cvt, cvt_int, fail};
use crate::lock::Lock;
use crate::malloc::{free, malloc};
use core::ffi::{c_char, c_int, c_long, c_void};
use core::ptr::null_mut;
use libc::dirent;

const BUFFER: usize = 8192;

#[repr(C)]
pub struct Dir {
    fd: c_int,
    lock: Lock,
    /// Where the next record would be, as `telldir` says it.
    tell: i64,
    at: usize,
    end: usize,
    buffer: [u64; BUFFER / 8],
}

unsafe fn new(fd: c_int) -> *mut Dir {
    let d = malloc(size_of::<Dir>()).cast::<Dir>();
    if !d.is_null() {
        (*d).fd = fd;
        (*d).lock = Lock::new();
        (*d).tell = 0;
        (*d).at = 0;
        (*d).end = 0;
    }
    d
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn opendir(path: *const c_char) -> *mut Dir {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    let fd = cvt_int(door!(openat, libc::AT_FDCWD, path, flags, 0));
    if fd < 0 {
        return null_mut();
    }
    let d = new(fd);
    if d.is_null() {
        door!(close, fd);
    }
    d
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdopendir(fd: c_int) -> *mut Dir {
    let mut s: libc::stat = core::mem::zeroed();
    if cvt(door!(fstat, fd, &raw mut s)) < 0 {
        return null_mut();
    }
    if s.st_mode & libc::S_IFMT != libc::S_IFDIR {
        fail(libc::ENOTDIR);
        return null_mut();
    }
    door!(fcntl, fd, libc::F_SETFD, libc::FD_CLOEXEC);
    new(fd)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn closedir(d: *mut Dir) -> c_int {
    let fd = (*d).fd;
    free(d.cast());
    cvt_int(door!(close, fd))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn dirfd(d: *mut Dir) -> c_int {
    (*d).fd
}

/// The next entry, null at the end.
unsafe fn next(d: *mut Dir) -> Result<*mut dirent, c_int> {
    if (*d).at >= (*d).end {
        let r = door!(getdents64, (*d).fd, &raw mut (*d).buffer, BUFFER);
        if r <= 0 {
            // A directory that was removed while open has simply no more entries.
            return match -r as c_int {
                0 | libc::ENOENT => Ok(null_mut()),
                e => Err(e),
            };
        }
        (*d).at = 0;
        (*d).end = r as usize;
    }
    let e = (&raw mut (*d).buffer)
        .cast::<u8>()
        .add((*d).at)
        .cast::<dirent>();
    (*d).at += (*e).d_reclen as usize;
    (*d).tell = (*e).d_off;
    Ok(e)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn readdir(d: *mut Dir) -> *mut dirent {
    (*d).lock.lock();
    let e = next(d);
    (*d).lock.unlock();
    e.unwrap_or_else(|e| {
        fail(e);
        null_mut()
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn readdir_r(
    d: *mut Dir,
    entry: *mut dirent,
    out: *mut *mut dirent,
) -> c_int {
    (*d).lock.lock();
    let next = next(d);
    *out = null_mut();
    if let Ok(e) = next
        && !e.is_null()
    {
        crate::string::memcpy(entry.cast(), e.cast(), (*e).d_reclen as usize);
        *out = entry;
    }
    (*d).lock.unlock();
    next.err().unwrap_or(0)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn seekdir(d: *mut Dir, at: c_long) {
    (*d).lock.lock();
    door!(lseek, (*d).fd, at, libc::SEEK_SET);
    (*d).tell = at;
    (*d).at = 0;
    (*d).end = 0;
    (*d).lock.unlock();
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rewinddir(d: *mut Dir) {
    seekdir(d, 0)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn telldir(d: *mut Dir) -> c_long {
    (*d).tell
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn alphasort(a: *mut *const dirent, b: *mut *const dirent) -> c_int {
    crate::string::strcmp((**a).d_name.as_ptr(), (**b).d_name.as_ptr())
}

type Select = unsafe extern "C" fn(*const dirent) -> c_int;
type Compare = unsafe extern "C" fn(*const c_void, *const c_void) -> c_int;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn scandir(
    path: *const c_char,
    out: *mut *mut *mut dirent,
    select: Option<Select>,
    compare: Option<Compare>,
) -> c_int {
    let d = opendir(path);
    if d.is_null() {
        return -1;
    }
    let (mut names, mut n, mut room): (*mut *mut dirent, usize, usize) = (null_mut(), 0, 0);
    let saved = crate::errno::get();
    let error = loop {
        let e = match next(d) {
            Ok(e) if e.is_null() => break 0,
            Ok(e) => e,
            Err(e) => break e,
        };
        if let Some(f) = select
            && f(e) == 0
        {
            continue;
        }
        if n == room {
            room = 2 * room + 16;
            let p = crate::malloc::realloc(names.cast(), room * size_of::<*mut dirent>());
            if p.is_null() {
                break libc::ENOMEM;
            }
            names = p.cast();
        }
        let copy = malloc((*e).d_reclen as usize).cast::<dirent>();
        if copy.is_null() {
            break libc::ENOMEM;
        }
        crate::string::memcpy(copy.cast(), e.cast(), (*e).d_reclen as usize);
        *names.add(n) = copy;
        n += 1;
    };
    closedir(d);
    if error != 0 {
        for i in 0..n {
            free((*names.add(i)).cast());
        }
        free(names.cast());
        return fail(error) as c_int;
    }
    // Whatever the selector has made of it.
    crate::errno::set(saved);
    if let Some(f) = compare {
        crate::stdlib::qsort(names.cast(), n, size_of::<*mut dirent>(), f);
    }
    *out = names;
    n as c_int
}
