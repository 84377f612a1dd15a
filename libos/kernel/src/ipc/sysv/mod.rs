//! System V IPC (sysvipc(7)): objects that have a number and stay until somebody removes them.

mod permissions;
pub mod shm;
