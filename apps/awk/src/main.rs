//! awk as a program of its own.

fn main() {
    std::process::exit(awk::run(std::env::args_os().collect()));
}
