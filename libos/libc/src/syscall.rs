//! `syscall`: a Linux number leads to the operation of that number, by the same door.

#[cfg(not(feature = "svc"))]
use crate::door;
use crate::errno::cvt;
use core::ffi::c_long;

#[cfg(not(feature = "svc"))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syscall(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> c_long {
    // What is no number of the table finds the first entry, which has another.
    let place = usize::try_from(number).map_or(0, |n| *PLACES.get(n).unwrap_or(&0));
    let (known, stub) = door::NUMBERS[usize::from(place)];
    if c_long::from(known) == number {
        cvt(door::call6(stub, a, b, c, d, e, f)) as c_long
    } else {
        crate::errno::fail(libc::ENOSYS) as c_long
    }
}

/// One more than the highest number there is.
#[cfg(not(feature = "svc"))]
const END: usize = door::NUMBERS[door::NUMBERS.len() - 1].0 as usize + 1;

/// Where in the list each number is.
#[cfg(not(feature = "svc"))]
static PLACES: [u16; END] = {
    let mut places = [0; END];
    let mut i = 0;
    while i < door::NUMBERS.len() {
        places[door::NUMBERS[i].0 as usize] = i as u16;
        i += 1;
    }
    places
};

#[cfg(feature = "svc")]
unsafe extern "C" {
    fn __libc_syscall_raw(
        number: c_long,
        a: usize,
        b: usize,
        c: usize,
        d: usize,
        e: usize,
        f: usize,
    ) -> isize;
}

#[cfg(feature = "svc")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syscall(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> c_long {
    cvt(__libc_syscall_raw(number, a, b, c, d, e, f)) as c_long
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buf: *mut core::ffi::c_void, n: usize, flags: u32) -> isize {
    cvt(door!(getrandom, buf, n, flags))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getentropy(buf: *mut core::ffi::c_void, n: usize) -> core::ffi::c_int {
    if n > 256 {
        return crate::errno::fail(libc::EIO) as core::ffi::c_int;
    }
    let mut done = 0;
    while done < n {
        let r = door!(getrandom, buf.cast::<u8>().add(done), n - done, 0);
        if r >= 0 {
            done += r as usize;
        } else if r != -(libc::EINTR as isize) {
            return cvt(r) as core::ffi::c_int;
        }
    }
    0
}
