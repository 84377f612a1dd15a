//! The entry point of the image: every linked program starts here, through the C `main` that rustc makes.

// The libc is called through C symbols only; naming it keeps it in the link.
#[cfg(target_arch = "aarch64")]
extern crate libos_libc as _;

fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(multicall::run() as u8)
}
