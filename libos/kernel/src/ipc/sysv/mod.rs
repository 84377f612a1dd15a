//! System V IPC (sysvipc(7)): objects that have a number and stay until somebody removes them.

mod registry;
pub mod shm;
