//! C functions that the libc crate does not declare for both glibc and musl.

use libc::{FILE, c_int, c_void, pid_t, pthread_mutexattr_t, pthread_rwlock_t, timespec};

// As with `sys!`: what a test breaks is the test's own process.
unsafe extern "C" {
    pub safe fn _Fork() -> pid_t;
    pub safe fn pthread_atfork(
        prepare: Option<extern "C" fn()>,
        parent: Option<extern "C" fn()>,
        child: Option<extern "C" fn()>,
    ) -> c_int;
    pub safe fn flockfile(file: *mut FILE);
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
