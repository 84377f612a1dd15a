//! The functions that read and write a `FILE`.

use super::file::{File, locked, stderr, stdin, stdout};
use super::stream::{Mode, Stream};
use crate::errno::{cvt, fail};
use crate::malloc::realloc;
use crate::string::{bytes, memcpy};
use core::ffi::{c_char, c_int, c_long, c_void};
use core::ptr::null_mut;
use core::slice::from_raw_parts;

pub const EOF: c_int = -1;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fileno(f: *mut File) -> c_int {
    (*f).stream.fd
}

/// The bytes of `n` items; an error of the file if there is no such number.
unsafe fn total(size: usize, n: usize, f: *mut File) -> usize {
    let bytes = size.checked_mul(n).filter(|&n| n <= isize::MAX as usize);
    bytes.unwrap_or_else(|| {
        fail(libc::EOVERFLOW);
        locked(f, |f| f.error = true);
        0
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fread(p: *mut c_void, size: usize, n: usize, f: *mut File) -> usize {
    let total = total(size, n, f);
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
    let total = total(size, n, f);
    if total == 0 {
        return 0;
    }
    locked(f, |f| f.write(from_raw_parts(p.cast(), total))) / size
}

/// Writes the parts, and together if the stream is unbuffered.
unsafe fn write_all(f: &mut Stream, parts: &[&[u8]]) -> bool {
    let (taken, out) = f.at_once(|f| parts.iter().all(|part| f.write(part) == part.len()));
    taken && out
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fputs(s: *const c_char, f: *mut File) -> c_int {
    let s = bytes(s);
    if locked(f, |f| f.write(s)) == s.len() {
        0
    } else {
        EOF
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn puts(s: *const c_char) -> c_int {
    if locked(stdout, |f| write_all(f, &[bytes(s), b"\n"])) {
        0
    } else {
        EOF
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fputc(c: c_int, f: *mut File) -> c_int {
    if locked(f, |f| f.write(&[c as u8])) == 1 {
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
        if !f.start_reading() || f.at == 0 {
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
        // Of an error that was there before, this call knows nothing.
        let before = core::mem::take(&mut f.error);
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
        let failed = f.error;
        f.error |= before;
        (done, failed)
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
    if locked(f, |f| f.seek(at, whence)) {
        0
    } else {
        -1
    }
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
    locked(f, |f| {
        f.seek(0, libc::SEEK_SET);
        f.error = false;
    });
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn feof(f: *mut File) -> c_int {
    locked(f, |f| f.eof) as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ferror(f: *mut File) -> c_int {
    locked(f, |f| f.error) as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearerr(f: *mut File) {
    locked(f, |f| {
        f.eof = false;
        f.error = false;
    });
}

/// A message of the library's own on standard error, in one piece.
pub unsafe fn tell(parts: &[&[u8]]) {
    locked(stderr, |f| write_all(f, parts));
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn perror(what: *const c_char) {
    tell_of(what, crate::strerror::strerror(crate::errno::get()));
}

/// `what: text`, or the text alone.
pub unsafe fn tell_of(what: *const c_char, text: *const c_char) {
    let (what, colon): (&[u8], &[u8]) = if what.is_null() || *what == 0 {
        (b"", b"")
    } else {
        (bytes(what), b": ")
    };
    tell(&[what, colon, bytes(text), b"\n"]);
}
