//! The file operations that programs call: decode, delegate, encode. Linux's names, arguments and structures.

pub mod at;
mod attr;
mod control;
mod directory;
mod fd;
mod inotify;
mod memfd;
mod mounting;
mod names;
mod open;
mod rw;
mod space;
mod stat;
mod sync;
mod transfer;
mod xattr;

pub use attr::*;
pub use control::*;
pub use directory::*;
pub use fd::*;
pub use inotify::*;
pub use memfd::*;
pub use mounting::*;
pub use names::*;
pub use open::*;
pub use rw::*;
pub use space::*;
pub use stat::*;
pub use sync::*;
pub use transfer::*;
pub use xattr::*;
