//! Physical frames, the kernel heap, address spaces.
//!
//! From the bottom up: [`frames`] hands out physical pages and counts references to them, [`heap`] cuts them into kernel
//! objects, [`paging`] writes translation tables, [`space`] is what a process sees: areas ([`area`]), faults, fork.
//! Everything that is not a register access is plain Rust and runs in host tests, where a physical address is a host pointer.

pub mod area;
pub mod commit;
pub mod frames;
pub mod heap;
mod hw;
pub mod layout;
pub mod linear;
pub mod paging;
pub mod shared;
pub mod source;
pub mod space;
pub mod sys;

pub use area::Protection;
pub use frames::{Frame, alloc_frame, alloc_zeroed};
pub use layout::{Layout, image_base, layout};
pub use linear::{phys_to_virt, virt_to_phys};
pub use shared::{Reserve, SharedPages};
pub use source::PageSource;
pub use space::{
    Access, AddressSpace, AreaInfo, Counters, Fault, Limits, ProgramKind, Writers, zero_frame,
};
