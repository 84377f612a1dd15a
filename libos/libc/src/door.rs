//! The door to the kernel, and the one list of operations that go through it.
//!
//! `door!(name, args…)` calls operation `name` with the Linux/arm64 meaning of its arguments and
//! gives the kernel's result, `-errno` included. What stands behind the stub `__door_<name>` is the
//! only thing that differs between a linked program (a call) and the feature `svc` (a trap).

/// A value that can travel in a register.
pub trait Arg {
    fn arg(self) -> usize;
}

macro_rules! int_args {
    ($($t:ty)*) => { $(impl Arg for $t {
        #[inline(always)]
        fn arg(self) -> usize { self as usize }
    })* };
}
int_args!(i16 u16 i32 u32 i64 u64 isize usize);

impl<T> Arg for *const T {
    #[inline(always)]
    fn arg(self) -> usize {
        self as usize
    }
}

impl<T> Arg for *mut T {
    #[inline(always)]
    fn arg(self) -> usize {
        self as usize
    }
}

pub type Stub = unsafe extern "C" fn();

macro_rules! callers {
    ($($name:ident($($a:ident)*);)*) => { $(
        /// Calls a stub with this many registers; the rest is the kernel's to ignore.
        /// # Safety
        /// The arguments must be valid for the operation, as its man page has it.
        #[inline(always)]
        #[allow(clippy::too_many_arguments)]
        pub unsafe fn $name(stub: Stub $(, $a: usize)*) -> isize {
            let f: unsafe extern "C" fn($(callers!(@ty $a)),*) -> isize =
                core::mem::transmute(stub);
            f($($a),*)
        }
    )* };
    (@ty $a:ident) => { usize };
}
callers! {
    call0(); call1(a); call2(a b); call3(a b c); call4(a b c d); call5(a b c d e); call6(a b c d e f);
}

#[macro_export]
#[doc(hidden)]
macro_rules! door {
    ($op:ident) => {
        $crate::door::call0($crate::door::stub::$op)
    };
    ($op:ident, $a:expr) => {
        $crate::door::call1($crate::door::stub::$op, $crate::door::Arg::arg($a))
    };
    ($op:ident, $a:expr, $b:expr) => {
        $crate::door::call2(
            $crate::door::stub::$op,
            $crate::door::Arg::arg($a),
            $crate::door::Arg::arg($b),
        )
    };
    ($op:ident, $a:expr, $b:expr, $c:expr) => {
        $crate::door::call3(
            $crate::door::stub::$op,
            $crate::door::Arg::arg($a),
            $crate::door::Arg::arg($b),
            $crate::door::Arg::arg($c),
        )
    };
    ($op:ident, $a:expr, $b:expr, $c:expr, $d:expr) => {
        $crate::door::call4(
            $crate::door::stub::$op,
            $crate::door::Arg::arg($a),
            $crate::door::Arg::arg($b),
            $crate::door::Arg::arg($c),
            $crate::door::Arg::arg($d),
        )
    };
    ($op:ident, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr) => {
        $crate::door::call5(
            $crate::door::stub::$op,
            $crate::door::Arg::arg($a),
            $crate::door::Arg::arg($b),
            $crate::door::Arg::arg($c),
            $crate::door::Arg::arg($d),
            $crate::door::Arg::arg($e),
        )
    };
    ($op:ident, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr, $f:expr) => {
        $crate::door::call6(
            $crate::door::stub::$op,
            $crate::door::Arg::arg($a),
            $crate::door::Arg::arg($b),
            $crate::door::Arg::arg($c),
            $crate::door::Arg::arg($d),
            $crate::door::Arg::arg($e),
            $crate::door::Arg::arg($f),
        )
    };
}

macro_rules! ops {
    ($($name:ident $nr:literal)*) => {
        /// The stubs, as symbols. `fork` and `spawn` have no Linux/arm64 number.
        pub mod stub {
            #[allow(dead_code, reason = "some are reached by number only")]
            unsafe extern "C" {
                $(
                    #[link_name = concat!("__door_", stringify!($name))]
                    pub fn $name();
                )*
                #[link_name = "__door_fork"]
                pub fn fork();
                #[cfg(not(feature = "svc"))]
                #[link_name = "__door_spawn"]
                pub fn spawn();
            }
        }
        $(stub_asm!($name, $nr);)*

        /// Linux/arm64 number to stub, for `syscall`. Sorted by number.
        #[cfg(not(feature = "svc"))]
        pub const NUMBERS: &[(u16, Stub)] = &[$(($nr, stub::$name)),*];
    };
}

#[cfg(not(feature = "svc"))]
macro_rules! stub_asm {
    ($name:ident, $nr:literal) => {
        core::arch::global_asm!(
            concat!(
                ".pushsection .text.__door_",
                stringify!($name),
                ",\"ax\",@progbits"
            ),
            concat!(".global __door_", stringify!($name)),
            concat!(".type __door_", stringify!($name), ", %function"),
            ".p2align 2",
            concat!("__door_", stringify!($name), ":"),
            // The kernel is in the upper half, out of reach of ADRP.
            concat!("movz x16, #:abs_g3:os_", stringify!($name)),
            concat!("movk x16, #:abs_g2_nc:os_", stringify!($name)),
            concat!("movk x16, #:abs_g1_nc:os_", stringify!($name)),
            concat!("movk x16, #:abs_g0_nc:os_", stringify!($name)),
            "b __door",
            concat!(
                ".size __door_",
                stringify!($name),
                ", . - __door_",
                stringify!($name)
            ),
            ".popsection",
        );
    };
}

#[cfg(feature = "svc")]
macro_rules! stub_asm {
    ($name:ident, $nr:literal) => {
        core::arch::global_asm!(
            concat!(
                ".pushsection .text.__door_",
                stringify!($name),
                ",\"ax\",@progbits"
            ),
            concat!(".global __door_", stringify!($name)),
            concat!(".type __door_", stringify!($name), ", %function"),
            ".p2align 2",
            concat!("__door_", stringify!($name), ":"),
            concat!("mov x8, #", stringify!($nr)),
            "svc #0",
            "ret",
            concat!(
                ".size __door_",
                stringify!($name),
                ", . - __door_",
                stringify!($name)
            ),
            ".popsection",
        );
    };
}

ops! {
    setxattr 5 lsetxattr 6 fsetxattr 7 getxattr 8 lgetxattr 9 fgetxattr 10 listxattr 11
    llistxattr 12 flistxattr 13 removexattr 14 lremovexattr 15 fremovexattr 16 getcwd 17
    eventfd2 19 epoll_create1 20 epoll_ctl 21 epoll_pwait 22 dup 23 dup3 24 fcntl 25
    inotify_init1 26 inotify_add_watch 27 inotify_rm_watch 28 ioctl 29 ioprio_set 30 ioprio_get
    31 flock 32 mknodat 33 mkdirat 34 unlinkat 35 symlinkat 36 linkat 37 renameat 38 umount2 39
    mount 40 pivot_root 41 statfs 43 fstatfs 44 truncate 45 ftruncate 46 fallocate 47 faccessat
    48 chdir 49 fchdir 50 chroot 51 fchmod 52 fchmodat 53 fchownat 54 fchown 55 openat 56 close
    57 pipe2 59 getdents64 61 lseek 62 read 63 write 64 readv 65 writev 66 pread64 67 pwrite64
    68 preadv 69 pwritev 70 sendfile 71 pselect6 72 ppoll 73 signalfd4 74 vmsplice 75 splice 76
    tee 77 readlinkat 78 newfstatat 79 fstat 80 sync 81 fsync 82 fdatasync 83 sync_file_range 84
    timerfd_create 85 timerfd_settime 86 timerfd_gettime 87 utimensat 88 acct 89 capget 90
    capset 91 personality 92 exit 93 exit_group 94 waitid 95 set_tid_address 96 unshare 97 futex
    98 set_robust_list 99 get_robust_list 100 nanosleep 101 getitimer 102 setitimer 103
    timer_create 107 timer_gettime 108 timer_getoverrun 109 timer_settime 110 timer_delete 111
    clock_settime 112 clock_gettime 113 clock_getres 114 clock_nanosleep 115 syslog 116 ptrace
    117 sched_setparam 118 sched_setscheduler 119 sched_getscheduler 120 sched_getparam 121
    sched_setaffinity 122 sched_getaffinity 123 sched_yield 124 sched_get_priority_max 125
    sched_get_priority_min 126 sched_rr_get_interval 127 kill 129 tkill 130 tgkill 131
    sigaltstack 132 rt_sigsuspend 133 rt_sigaction 134 rt_sigprocmask 135 rt_sigpending 136
    rt_sigtimedwait 137 rt_sigqueueinfo 138 setpriority 140 getpriority 141 reboot 142 setregid
    143 setgid 144 setreuid 145 setuid 146 setresuid 147 getresuid 148 setresgid 149 getresgid
    150 setfsuid 151 setfsgid 152 times 153 setpgid 154 getpgid 155 getsid 156 setsid 157
    getgroups 158 setgroups 159 uname 160 sethostname 161 setdomainname 162 getrlimit 163
    setrlimit 164 getrusage 165 umask 166 prctl 167 getcpu 168 gettimeofday 169 settimeofday 170
    adjtimex 171 getpid 172 getppid 173 getuid 174 geteuid 175 getgid 176 getegid 177 gettid 178
    sysinfo 179 msgget 186 msgctl 187 msgrcv 188 msgsnd 189 semget 190 semctl 191 semtimedop 192
    semop 193 shmget 194 shmctl 195 shmat 196 shmdt 197 socket 198 socketpair 199 bind 200
    listen 201 accept 202 connect 203 getsockname 204 getpeername 205 sendto 206 recvfrom 207
    setsockopt 208 getsockopt 209 shutdown 210 sendmsg 211 recvmsg 212 readahead 213 brk 214
    munmap 215 mremap 216 execve 221 mmap 222 fadvise64 223 swapon 224 swapoff 225 mprotect 226
    msync 227 mlock 228 munlock 229 mlockall 230 munlockall 231 mincore 232 madvise 233
    rt_tgsigqueueinfo 240 accept4 242 recvmmsg 243 wait4 260 prlimit64 261 name_to_handle_at 264
    clock_adjtime 266 syncfs 267 setns 268 sendmmsg 269 process_vm_readv 270 process_vm_writev
    271 renameat2 276 getrandom 278 memfd_create 279 execveat 281 membarrier 283 mlock2 284
    copy_file_range 285 preadv2 286 pwritev2 287 statx 291 rseq 293 pidfd_send_signal 424
    io_uring_setup 425 pidfd_open 434 close_range 436 openat2 437 faccessat2 439 epoll_pwait2
    441 fchmodat2 452
}

unsafe extern "C" {
    /// `clone`, for a child that runs on a stack of its own: it calls `f(arg)`, which must not return.
    pub fn __libc_clone(
        flags: usize,
        stack: *mut u8,
        ptid: *mut i32,
        tls: *mut u8,
        ctid: *mut i32,
        f: unsafe extern "C" fn(*mut core::ffi::c_void) -> !,
        arg: *mut core::ffi::c_void,
    ) -> isize;
}
