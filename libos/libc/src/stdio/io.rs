//! The functions on a `FILE`.

use super::file::{
    BUFSIZ, File, Mode, UNGET, dispose, flush_all, locked, new, stderr, stdin, stdout,
};
use crate::errno::{cvt, cvt_int, fail};
use crate::malloc::realloc;
use crate::string::{bytes, memcpy};
use core::ffi::{c_char, c_int, c_long, c_void};
use core::ptr::null_mut;
use core::slice::from_raw_parts;

const EOF: c_int = -1;

/// `r w a` with `+ x e`, as open flags.
unsafe fn flags(mode: *const c_char) -> Option<c_int> {
    let mode = bytes(mode);
    let plus = mode.contains(&b'+');
    let mut flags = match mode.first()? {
        b'r' => 0,
        b'w' => libc::O_CREAT | libc::O_TRUNC,
        b'a' => libc::O_CREAT | libc::O_APPEND,
        _ => {
            fail(libc::EINVAL);
            return None;
        }
    };
    flags |= match (plus, mode[0]) {
        (true, _) => libc::O_RDWR,
        (_, b'r') => libc::O_RDONLY,
        _ => libc::O_WRONLY,
    };
    if mode.contains(&b'x') {
        flags |= libc::O_EXCL;
    }
    if mode.contains(&b'e') {
        flags |= libc::O_CLOEXEC;
    }
    Some(flags)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fopen(path: *const c_char, mode: *const c_char) -> *mut File {
    let Some(flags) = flags(mode) else {
        return null_mut();
    };
    let fd = cvt_int(door!(openat, libc::AT_FDCWD, path, flags, 0o666));
    if fd < 0 {
        return null_mut();
    }
    let f = new(fd);
    if f.is_null() {
        door!(close, fd);
    } else {
        (*f).append = flags & libc::O_APPEND != 0;
    }
    f
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdopen(fd: c_int, mode: *const c_char) -> *mut File {
    let Some(want) = flags(mode) else {
        return null_mut();
    };
    let have = cvt_int(door!(fcntl, fd, libc::F_GETFL, 0));
    if have < 0 {
        return null_mut();
    }
    if want & libc::O_APPEND != 0 && have & libc::O_APPEND == 0 {
        door!(fcntl, fd, libc::F_SETFL, have | libc::O_APPEND);
    }
    if want & libc::O_CLOEXEC != 0 {
        door!(fcntl, fd, libc::F_SETFD, libc::FD_CLOEXEC);
    }
    new(fd)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn freopen(
    path: *const c_char,
    mode: *const c_char,
    f: *mut File,
) -> *mut File {
    let Some(flags) = flags(mode) else {
        return null_mut();
    };
    let ok = locked(f, |f| {
        f.flush();
        let fd = cvt_int(door!(openat, libc::AT_FDCWD, path, flags, 0o666));
        if fd < 0 {
            return false;
        }
        if fd != f.fd {
            door!(dup3, fd, f.fd, flags & libc::O_CLOEXEC);
            door!(close, fd);
        }
        f.eof = false;
        f.error = false;
        true
    });
    if ok { f } else { null_mut() }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fclose(f: *mut File) -> c_int {
    let (ok, fd) = locked(f, |f| (f.flush(), f.fd));
    dispose(f);
    let r = cvt_int(door!(close, fd));
    if ok { r } else { EOF }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fcloseall() -> c_int {
    if flush_all() { 0 } else { EOF }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fileno(f: *mut File) -> c_int {
    (*f).fd
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fread(p: *mut c_void, size: usize, n: usize, f: *mut File) -> usize {
    let total = size * n;
    if total == 0 {
        return 0;
    }
    let p = p.cast::<u8>();
    let done = locked(f, |f| {
        let mut done = 0;
        while done < total && f.fill() {
            let k = (f.end - f.at).min(total - done);
            memcpy(p.add(done).cast(), f.buf.add(f.at).cast(), k);
            f.at += k;
            done += k;
        }
        done
    });
    done / size
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fwrite(p: *const c_void, size: usize, n: usize, f: *mut File) -> usize {
    let total = size * n;
    if total == 0 {
        return 0;
    }
    if locked(f, |f| f.write(from_raw_parts(p.cast(), total))) {
        n
    } else {
        0
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fputs(s: *const c_char, f: *mut File) -> c_int {
    if locked(f, |f| f.write(bytes(s))) {
        0
    } else {
        EOF
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn puts(s: *const c_char) -> c_int {
    if locked(stdout, |f| f.write(bytes(s)) && f.write(b"\n")) {
        0
    } else {
        EOF
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fputc(c: c_int, f: *mut File) -> c_int {
    if locked(f, |f| f.write(&[c as u8])) {
        c as u8 as c_int
    } else {
        EOF
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn putc(c: c_int, f: *mut File) -> c_int {
    fputc(c, f)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn putchar(c: c_int) -> c_int {
    fputc(c, stdout)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fgetc(f: *mut File) -> c_int {
    locked(f, |f| {
        if !f.fill() {
            return EOF;
        }
        f.at += 1;
        *f.buf.add(f.at - 1) as c_int
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getc(f: *mut File) -> c_int {
    fgetc(f)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getchar() -> c_int {
    fgetc(stdin)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ungetc(c: c_int, f: *mut File) -> c_int {
    if c == EOF {
        return EOF;
    }
    locked(f, |f| {
        if f.mode != Mode::Reading {
            f.fill();
        }
        if f.at == 0 || f.buf.is_null() {
            return EOF;
        }
        f.at -= 1;
        *f.buf.add(f.at) = c as u8;
        f.eof = false;
        c as u8 as c_int
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fgets(s: *mut c_char, n: c_int, f: *mut File) -> *mut c_char {
    if n < 1 {
        return null_mut();
    }
    let room = n as usize - 1;
    let (done, failed) = locked(f, |f| {
        let mut done = 0;
        while done < room && f.fill() {
            let have = from_raw_parts(f.buf.add(f.at), (f.end - f.at).min(room - done));
            let k = have
                .iter()
                .position(|&c| c == b'\n')
                .map_or(have.len(), |i| i + 1);
            memcpy(s.add(done).cast(), have.as_ptr().cast(), k);
            f.at += k;
            done += k;
            if *s.add(done - 1) == b'\n' as c_char {
                break;
            }
        }
        (done, f.error)
    });
    if (done == 0 && room > 0) || failed {
        return null_mut();
    }
    *s.add(done) = 0;
    s
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getdelim(
    line: *mut *mut c_char,
    room: *mut usize,
    delim: c_int,
    f: *mut File,
) -> isize {
    if (*line).is_null() {
        *room = 0;
    }
    locked(f, |f| {
        let mut n = 0;
        while f.fill() {
            let have = from_raw_parts(f.buf.add(f.at), f.end - f.at);
            let hit = have.iter().position(|&c| c == delim as u8);
            let k = hit.map_or(have.len(), |i| i + 1);
            if n + k + 1 > *room {
                let want = (n + k + 1).max(2 * *room).max(120);
                let p = realloc((*line).cast(), want);
                if p.is_null() {
                    return -1;
                }
                *line = p.cast();
                *room = want;
            }
            memcpy((*line).add(n).cast(), have.as_ptr().cast(), k);
            f.at += k;
            n += k;
            if hit.is_some() {
                break;
            }
        }
        if n == 0 {
            return -1;
        }
        *(*line).add(n) = 0;
        n as isize
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getline(line: *mut *mut c_char, room: *mut usize, f: *mut File) -> isize {
    getdelim(line, room, b'\n' as c_int, f)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fseeko(f: *mut File, at: i64, whence: c_int) -> c_int {
    locked(f, |f| {
        // `flush` also moves the kernel's place back to where the reader is.
        if !f.flush() || cvt(door!(lseek, f.fd, at, whence)) < 0 {
            return -1;
        }
        f.eof = false;
        0
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fseek(f: *mut File, at: c_long, whence: c_int) -> c_int {
    fseeko(f, at, whence)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftello(f: *mut File) -> i64 {
    locked(f, |f| {
        let whence = if f.append && f.mode == Mode::Writing {
            libc::SEEK_END
        } else {
            libc::SEEK_CUR
        };
        let at = cvt(door!(lseek, f.fd, 0usize, whence)) as i64;
        match f.mode {
            _ if at < 0 => at,
            Mode::Reading => at - (f.end - f.at) as i64,
            Mode::Writing => at + (f.end - f.at) as i64,
            Mode::Idle => at,
        }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftell(f: *mut File) -> c_long {
    ftello(f)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rewind(f: *mut File) {
    fseeko(f, 0, libc::SEEK_SET);
    (*f).error = false;
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn feof(f: *mut File) -> c_int {
    (*f).eof as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ferror(f: *mut File) -> c_int {
    (*f).error as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearerr(f: *mut File) {
    (*f).eof = false;
    (*f).error = false;
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn setbuf(f: *mut File, buf: *mut c_char) {
    super::file::setvbuf(
        f,
        buf,
        if buf.is_null() { 2 } else { 0 },
        BUFSIZ.max(UNGET + 1),
    );
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn setlinebuf(f: *mut File) {
    super::file::setvbuf(f, null_mut(), 1, 0);
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn perror(what: *const c_char) {
    let text = crate::strerror::strerror(crate::errno::get());
    locked(stderr, |f| {
        if !what.is_null() && *what != 0 {
            f.write(bytes(what));
            f.write(b": ");
        }
        f.write(bytes(text));
        f.write(b"\n");
    });
}
