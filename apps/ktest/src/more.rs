//! C functions that the libc crate does not declare for both glibc and musl.

use libc::{
    FILE, c_char, c_int, c_void, dirent, passwd, pid_t, pthread_mutexattr_t, pthread_rwlock_t,
    pthread_t, timespec, tm,
};

unsafe extern "C" {
    #[link_name = "stdin"]
    static mut STDIN: *mut FILE;
    #[link_name = "stdout"]
    static mut STDOUT: *mut FILE;
}

pub fn stdin() -> *mut FILE {
    // SAFETY: nobody changes it.
    unsafe { STDIN }
}

pub fn stdout() -> *mut FILE {
    // SAFETY: nobody changes it.
    unsafe { STDOUT }
}

pub fn set_errno(error: c_int) {
    // SAFETY: the calling thread's own.
    unsafe { *libc::__errno_location() = error };
}

// As with `sys!`: what a test breaks is the test's own process.
unsafe extern "C" {
    pub safe fn _Fork() -> pid_t;
    pub safe fn pthread_atfork(
        prepare: Option<extern "C" fn()>,
        parent: Option<extern "C" fn()>,
        child: Option<extern "C" fn()>,
    ) -> c_int;
    pub safe fn pthread_cancel(thread: pthread_t) -> c_int;
    pub safe fn pthread_testcancel();
    pub safe fn flockfile(file: *mut FILE);
    pub safe fn ftrylockfile(file: *mut FILE) -> c_int;
    pub safe fn getline(line: *mut *mut c_char, room: *mut usize, file: *mut FILE) -> isize;
    pub safe fn dprintf(fd: c_int, format: *const c_char, ...) -> c_int;
    pub safe fn scandir(
        path: *const c_char,
        list: *mut *mut *mut dirent,
        select: Option<extern "C" fn(*const dirent) -> c_int>,
        compare: Option<unsafe extern "C" fn(*mut *const dirent, *mut *const dirent) -> c_int>,
    ) -> c_int;
    pub unsafe fn alphasort(a: *mut *const dirent, b: *mut *const dirent) -> c_int;
    pub safe fn tzset();
    pub safe fn asctime_r(broken: *const tm, buffer: *mut c_char) -> *mut c_char;
    pub safe fn setpwent();
    pub safe fn getpwent() -> *mut passwd;
    pub safe fn endpwent();
    pub safe fn psignal(signal: c_int, what: *const c_char);
    pub safe fn funlockfile(file: *mut FILE);
    pub safe fn __cxa_thread_atexit_impl(
        hook: extern "C" fn(*mut c_void),
        argument: *mut c_void,
        object: *mut c_void,
    ) -> c_int;
    pub safe fn at_quick_exit(handler: extern "C" fn()) -> c_int;
    pub safe fn quick_exit(status: c_int) -> !;
    pub safe fn pthread_mutexattr_gettype(a: *const pthread_mutexattr_t, kind: *mut c_int)
    -> c_int;
    pub safe fn pthread_rwlock_timedrdlock(
        lock: *mut pthread_rwlock_t,
        at: *const timespec,
    ) -> c_int;
    pub safe fn pthread_rwlock_timedwrlock(
        lock: *mut pthread_rwlock_t,
        at: *const timespec,
    ) -> c_int;
}
