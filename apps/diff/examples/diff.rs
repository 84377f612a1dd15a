//! diff as a program of the host, for comparing it with the host's own.

fn main() {
    std::process::exit(diff::run(std::env::args_os().collect()));
}
