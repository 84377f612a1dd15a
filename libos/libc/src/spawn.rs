//! `<spawn.h>`: one operation of the kernel's, nothing is cloned.

use crate::errno::get;
use crate::malloc::{free, realloc};
use core::ffi::{c_char, c_int, c_short};
use core::ptr::{null, null_mut};
use libc::{mode_t, pid_t, sigset_t};

/// What the child does before it runs the program.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Action {
    pub kind: u32,
    pub fd: c_int,
    pub newfd: c_int,
    pub oflag: c_int,
    pub mode: u32,
    pad: u32,
    pub path: *const c_char,
}

pub const DUP2: u32 = 0;
pub const CLOSE: u32 = 1;
pub const OPEN: u32 = 2;
pub const CHDIR: u32 = 3;
pub const FCHDIR: u32 = 4;

/// The argument of the operation.
#[repr(C)]
pub struct Args {
    pub flags: u32,
    pub pgroup: i32,
    pub sigdefault: u64,
    pub sigmask: u64,
    pub actions: *const Action,
    pub nactions: u64,
    pub policy: c_int,
    pub priority: c_int,
}

impl Args {
    const NONE: Args = Args {
        flags: 0,
        pgroup: 0,
        sigdefault: 0,
        sigmask: 0,
        actions: null(),
        nactions: 0,
        policy: 0,
        priority: 0,
    };

    pub fn with_signals(sigdefault: u64, sigmask: u64) -> Args {
        let flags = libc::POSIX_SPAWN_SETSIGDEF | libc::POSIX_SPAWN_SETSIGMASK;
        Args {
            flags: flags as u32,
            sigdefault,
            sigmask,
            ..Args::NONE
        }
    }
}

/// musl's `posix_spawnattr_t`.
#[repr(C)]
pub struct Attr {
    flags: c_int,
    pgroup: pid_t,
    def: sigset_t,
    mask: sigset_t,
    priority: c_int,
    policy: c_int,
    pad: [usize; 8],
}

/// musl's `posix_spawn_file_actions_t`: 80 bytes, of which the second word is a pointer.
#[repr(C)]
pub struct FileActions {
    len: c_int,
    room: c_int,
    list: *mut Action,
    pad: [c_int; 16],
}

/// Gives the pid or `-errno`.
#[cfg(not(feature = "svc"))]
pub unsafe fn spawn(
    path: *const c_char,
    argv: *const *const c_char,
    envp: *const *const c_char,
    args: &Args,
) -> isize {
    door!(
        spawn,
        path,
        argv,
        envp,
        args as *const Args,
        size_of::<Args>()
    )
}

#[cfg(feature = "svc")]
pub use crate::spawn_svc::spawn;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_spawn(
    pid: *mut pid_t,
    path: *const c_char,
    actions: *const FileActions,
    attr: *const Attr,
    argv: *const *const c_char,
    envp: *const *const c_char,
) -> c_int {
    finish(pid, spawn(path, argv, envp, &collect(actions, attr)))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_spawnp(
    pid: *mut pid_t,
    file: *const c_char,
    actions: *const FileActions,
    attr: *const Attr,
    argv: *const *const c_char,
    envp: *const *const c_char,
) -> c_int {
    let args = collect(actions, attr);
    finish(
        pid,
        crate::exec::search(file, |path| spawn(path, argv, envp, &args)),
    )
}

unsafe fn collect(actions: *const FileActions, attr: *const Attr) -> Args {
    let mut args = Args::NONE;
    if !actions.is_null() {
        args.actions = (*actions).list;
        args.nactions = (*actions).len as u64;
    }
    if !attr.is_null() {
        args.flags = (*attr).flags as u32;
        args.pgroup = (*attr).pgroup;
        args.sigdefault = *(&raw const (*attr).def).cast();
        args.sigmask = *(&raw const (*attr).mask).cast();
        args.policy = (*attr).policy;
        args.priority = (*attr).priority;
    }
    args
}

unsafe fn finish(pid: *mut pid_t, r: isize) -> c_int {
    if r < 0 {
        return -r as c_int;
    }
    if !pid.is_null() {
        *pid = r as pid_t;
    }
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_spawnattr_init(a: *mut Attr) -> c_int {
    a.write_bytes(0, 1);
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_spawnattr_destroy(_a: *mut Attr) -> c_int {
    0
}

macro_rules! fields {
    ($($set:ident $get:ident $field:ident: $t:ty;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $set(a: *mut Attr, v: $t) -> c_int {
            (*a).$field = v as _;
            0
        }
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $get(a: *const Attr, v: *mut $t) -> c_int {
            *v = (*a).$field as _;
            0
        }
    )* };
}
fields! {
    posix_spawnattr_setflags posix_spawnattr_getflags flags: c_short;
    posix_spawnattr_setpgroup posix_spawnattr_getpgroup pgroup: pid_t;
    posix_spawnattr_setschedpolicy posix_spawnattr_getschedpolicy policy: c_int;
}

// What is handed over by address.
macro_rules! pointed {
    ($($set:ident $get:ident $field:ident: $t:ty;)*) => { $(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $set(a: *mut Attr, v: *const $t) -> c_int {
            (*a).$field = *v.cast();
            0
        }
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $get(a: *const Attr, v: *mut $t) -> c_int {
            *v.cast() = (*a).$field;
            0
        }
    )* };
}
pointed! {
    posix_spawnattr_setsigdefault posix_spawnattr_getsigdefault def: sigset_t;
    posix_spawnattr_setsigmask posix_spawnattr_getsigmask mask: sigset_t;
    // The priority is a `sched_param`'s first field.
    posix_spawnattr_setschedparam posix_spawnattr_getschedparam priority: libc::sched_param;
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_spawn_file_actions_init(f: *mut FileActions) -> c_int {
    f.write_bytes(0, 1);
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_spawn_file_actions_destroy(f: *mut FileActions) -> c_int {
    for i in 0..(*f).len as usize {
        free((*(*f).list.add(i)).path.cast_mut().cast());
    }
    free((*f).list.cast());
    (*f).list = null_mut();
    (*f).len = 0;
    (*f).room = 0;
    0
}

unsafe fn add(f: *mut FileActions, action: Action) -> c_int {
    if (*f).len == (*f).room {
        let room = (*f).room + 8;
        let p = realloc((*f).list.cast(), room as usize * size_of::<Action>());
        if p.is_null() {
            return get();
        }
        (*f).list = p.cast();
        (*f).room = room;
    }
    *(*f).list.add((*f).len as usize) = action;
    (*f).len += 1;
    0
}

fn action(kind: u32, fd: c_int) -> Action {
    Action {
        kind,
        fd,
        newfd: -1,
        oflag: 0,
        mode: 0,
        pad: 0,
        path: null(),
    }
}

unsafe fn add_path(f: *mut FileActions, mut a: Action, path: *const c_char) -> c_int {
    a.path = crate::string::strdup(path);
    if a.path.is_null() {
        return libc::ENOMEM;
    }
    add(f, a)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_spawn_file_actions_adddup2(
    f: *mut FileActions,
    fd: c_int,
    new: c_int,
) -> c_int {
    if fd < 0 || new < 0 {
        return libc::EBADF;
    }
    add(
        f,
        Action {
            newfd: new,
            ..action(DUP2, fd)
        },
    )
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_spawn_file_actions_addclose(
    f: *mut FileActions,
    fd: c_int,
) -> c_int {
    if fd < 0 {
        libc::EBADF
    } else {
        add(f, action(CLOSE, fd))
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_spawn_file_actions_addopen(
    f: *mut FileActions,
    fd: c_int,
    path: *const c_char,
    oflag: c_int,
    mode: mode_t,
) -> c_int {
    if fd < 0 {
        return libc::EBADF;
    }
    add_path(
        f,
        Action {
            oflag,
            mode,
            ..action(OPEN, fd)
        },
        path,
    )
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_spawn_file_actions_addchdir_np(
    f: *mut FileActions,
    path: *const c_char,
) -> c_int {
    add_path(f, action(CHDIR, -1), path)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_spawn_file_actions_addfchdir_np(
    f: *mut FileActions,
    fd: c_int,
) -> c_int {
    if fd < 0 {
        libc::EBADF
    } else {
        add(f, action(FCHDIR, fd))
    }
}
