//! The processor: everything above is written against these names. [`host`] stands in when the crate is unit-tested.

#[cfg(target_os = "none")]
mod aarch64;
#[cfg(target_os = "none")]
pub use aarch64::*;

#[cfg(not(target_os = "none"))]
mod host;
#[cfg(not(target_os = "none"))]
pub use host::*;

/// Cores supported.
pub const MAX_CPUS: usize = 8;
