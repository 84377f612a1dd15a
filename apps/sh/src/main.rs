//! The shell as a program of its own, for tests on the host.

fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(
        sh::run(std::env::args_os().collect(), &mut std::iter::empty()) as u8,
    )
}
