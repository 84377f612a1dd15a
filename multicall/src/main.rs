//! The same programs as one binary for the host: made for tests, and run through symbolic links.

fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(multicall::run() as u8)
}
