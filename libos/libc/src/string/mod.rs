//! `<string.h>` and `<strings.h>`: the block functions in assembly, the rest in Rust.

mod block;
mod scan;
mod strings;

pub use block::{memcpy, memset};
pub use scan::{memchr, strlen};
pub use strings::*;
