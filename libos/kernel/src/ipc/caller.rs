//! The process on whose behalf a call runs, as far as this folder is concerned.

use crate::base::Result;
use crate::fs::{File, OnExec};
use crate::process::current;
use crate::process::signal::{self, SigInfo};
use crate::user::UserPtr;
use alloc::sync::Arc;

/// The open file behind a descriptor of the current process; `EBADF` if it only names a place.
pub fn file(fd: i32) -> Result<Arc<File>> {
    let file = crate::fs::caller::file(fd)?;
    file.check_not_path()?;
    Ok(file)
}

/// `EMFILE` if there is no descriptor left.
pub fn check_room() -> Result<()> {
    let files = current().process().files.lock().clone();
    files.check_room(crate::fs::caller::open_file_limit())
}

/// Gives `file` a descriptor.
pub fn install(file: Arc<File>, close_on_exec: bool) -> Result<i32> {
    let files = current().process().files.lock().clone();
    files.insert(file, OnExec::from_flag(close_on_exec))
}

/// Gives both files descriptors and tells the program their numbers; on any error neither stays.
pub fn install_pair(
    pair: [Arc<File>; 2],
    close_on_exec: bool,
    fds: UserPtr<[i32; 2]>,
) -> Result<usize> {
    let files = current().process().files.lock().clone();
    let on_exec = OnExec::from_flag(close_on_exec);
    let a = files.insert(pair[0].clone(), on_exec)?;
    let told = files
        .insert(pair[1].clone(), on_exec)
        .and_then(|b| fds.write([a, b]).inspect_err(|_| take_back(b, &pair[1])));
    told.inspect_err(|_| take_back(a, &pair[0]))?;
    Ok(0)
}

/// Takes a descriptor away that the program does not know of, unless it guessed it and has made it another file's.
pub fn take_back(fd: i32, file: &Arc<File>) {
    let files = current().process().files.lock().clone();
    drop(files.remove_file(fd, file));
}

/// The writer of a pipe or socket that nobody reads gets `SIGPIPE`.
pub fn raise_sigpipe() {
    let info = SigInfo::kernel(linux_raw_sys::general::SIGPIPE as i32);
    signal::send_to_thread(current(), info);
}
