//! C functions that the libc crate does not declare for both glibc and musl.

use libc::{c_int, pthread_mutexattr_t, pthread_rwlock_t, timespec};

// As with `sys!`: what a test breaks is the test's own process.
unsafe extern "C" {
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
