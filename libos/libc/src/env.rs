//! The environment. Strings set here are ours; those the process started with are not, and a
//! string once handed out by `getenv` stays readable: nothing is freed.

use crate::errno::fail;
use crate::lock::Lock;
use crate::malloc::{free, malloc, realloc};
use crate::startup::{__environ, environ};
use crate::string::{bytes, memcpy, strlen};
use core::ffi::{c_char, c_int};
use core::ptr::{null_mut, without_provenance_mut};

pub static LOCK: Lock = Lock::new();
/// The array that `setenv` made; `environ` may be the program's own.
static mut OURS: *mut *mut c_char = null_mut();

/// The slot of `name`, or of the final null; and its index.
unsafe fn find(name: &[u8]) -> (*mut *mut c_char, usize) {
    let mut i = 0;
    loop {
        let slot = environ.add(i);
        if (*slot).is_null() {
            return (slot, i);
        }
        let entry = (*slot).cast::<u8>();
        let same = name.iter().enumerate().all(|(k, &c)| *entry.add(k) == c);
        if same && *entry.add(name.len()) == b'=' {
            return (slot, i);
        }
        i += 1;
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getenv(name: *const c_char) -> *mut c_char {
    let name = bytes(name);
    if environ.is_null() || name.is_empty() || name.contains(&b'=') {
        return null_mut();
    }
    let (slot, _) = find(name);
    if (*slot).is_null() {
        null_mut()
    } else {
        (*slot).add(name.len() + 1)
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn secure_getenv(name: *const c_char) -> *mut c_char {
    if crate::startup::aux(libc::AT_SECURE).unwrap_or(0) != 0 {
        null_mut()
    } else {
        getenv(name)
    }
}

/// Under the lock: `entry` (`NAME=value`) in place of what is there, or added.
unsafe fn put(name: &[u8], entry: *mut c_char) -> c_int {
    if environ.is_null() {
        environ = (&raw mut NOTHING).cast();
    }
    let (slot, i) = find(name);
    if !(*slot).is_null() {
        *slot = entry;
        return 0;
    }
    // One more and the null, in an array of ours.
    let size = (i + 2) * size_of::<*mut c_char>();
    let array = if environ == OURS {
        realloc(OURS.cast(), size).cast::<*mut c_char>()
    } else {
        let array = malloc(size).cast::<*mut c_char>();
        if !array.is_null() {
            memcpy(array.cast(), environ.cast(), i * size_of::<*mut c_char>());
            free(OURS.cast());
        }
        array
    };
    if array.is_null() {
        return -1;
    }
    *array.add(i) = entry;
    *array.add(i + 1) = null_mut();
    OURS = array;
    environ = array;
    __environ = array;
    0
}

static mut NOTHING: [*mut c_char; 1] = [without_provenance_mut(0)];

#[unsafe(no_mangle)]
pub unsafe extern "C" fn setenv(
    name: *const c_char,
    value: *const c_char,
    overwrite: c_int,
) -> c_int {
    if name.is_null() || *name == 0 || bytes(name).contains(&b'=') {
        return fail(libc::EINVAL) as c_int;
    }
    if overwrite == 0 && !getenv(name).is_null() {
        return 0;
    }
    let (n, v) = (strlen(name), strlen(value));
    let entry = malloc(n + v + 2).cast::<c_char>();
    if entry.is_null() {
        return -1;
    }
    memcpy(entry.cast(), name.cast(), n);
    *entry.add(n) = b'=' as c_char;
    memcpy(entry.add(n + 1).cast(), value.cast(), v + 1);
    LOCK.lock();
    let r = put(bytes(name), entry);
    LOCK.unlock();
    r
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn putenv(entry: *mut c_char) -> c_int {
    let text = bytes(entry);
    match text.iter().position(|&c| c == b'=') {
        None => unsetenv(entry),
        Some(0) => fail(libc::EINVAL) as c_int,
        Some(n) => {
            LOCK.lock();
            let r = put(&text[..n], entry);
            LOCK.unlock();
            r
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn unsetenv(name: *const c_char) -> c_int {
    if name.is_null() || *name == 0 || bytes(name).contains(&b'=') {
        return fail(libc::EINVAL) as c_int;
    }
    LOCK.lock();
    if !environ.is_null() {
        loop {
            let (mut slot, _) = find(bytes(name));
            if (*slot).is_null() {
                break;
            }
            while !(*slot).is_null() {
                *slot = *slot.add(1);
                slot = slot.add(1);
            }
        }
    }
    LOCK.unlock();
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn clearenv() -> c_int {
    LOCK.lock();
    environ = null_mut();
    __environ = null_mut();
    LOCK.unlock();
    0
}
