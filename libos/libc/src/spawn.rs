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
}

impl Args {
    pub fn with_signals(sigdefault: u64, sigmask: u64) -> Args {
        let flags = libc::POSIX_SPAWN_SETSIGDEF | libc::POSIX_SPAWN_SETSIGMASK;
        Args {
            flags: flags as u32,
            pgroup: 0,
            sigdefault,
            sigmask,
            actions: null(),
            nactions: 0,
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
    prio: c_int,
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
    let mut args = Args {
        flags: 0,
        pgroup: 0,
        sigdefault: 0,
        sigmask: 0,
        actions: null(),
        nactions: 0,
    };
    if !actions.is_null() {
        args.actions = (*actions).list;
        args.nactions = (*actions).len as u64;
    }
    if !attr.is_null() {
        args.flags = (*attr).flags as u32;
        args.pgroup = (*attr).pgroup;
        args.sigdefault = *(&raw const (*attr).def).cast();
        args.sigmask = *(&raw const (*attr).mask).cast();
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

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_spawnattr_setflags(a: *mut Attr, flags: c_short) -> c_int {
    (*a).flags = flags as u16 as c_int;
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_spawnattr_getflags(a: *const Attr, flags: *mut c_short) -> c_int {
    *flags = (*a).flags as c_short;
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_spawnattr_setpgroup(a: *mut Attr, group: pid_t) -> c_int {
    (*a).pgroup = group;
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_spawnattr_getpgroup(a: *const Attr, group: *mut pid_t) -> c_int {
    *group = (*a).pgroup;
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_spawnattr_setsigdefault(
    a: *mut Attr,
    set: *const sigset_t,
) -> c_int {
    (*a).def = *set;
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_spawnattr_setsigmask(a: *mut Attr, set: *const sigset_t) -> c_int {
    (*a).mask = *set;
    0
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
