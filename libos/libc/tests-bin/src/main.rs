//! Checks of the C library from an ordinary std program: `test [NAME…]`, and the ways to die.
extern crate libos_libc as _;

mod memory;
mod processes;
mod system;
mod text;
mod threads;

use std::time::Instant;

const ALL: [(&str, fn()); 11] = [
    ("mem", memory::mem),
    ("malloc", memory::malloc),
    ("printf", text::printf),
    ("stdio", text::stdio),
    ("threads", threads::threads),
    ("pthreads", threads::pthreads),
    ("process", processes::process),
    ("signals", processes::signals),
    ("time", system::time),
    ("misc", system::misc),
    ("crates", system::crates),
];

fn overflow(n: u64) -> u64 {
    let a = [n; 100];
    std::hint::black_box(&a);
    if n == u64::MAX {
        0
    } else {
        overflow(n + 1) + a[(n % 100) as usize]
    }
}

fn die(how: &str) {
    match how {
        "panic" => panic!("boom"),
        "abort" => std::process::abort(),
        "overflow" => println!("{}", overflow(0)),
        "thread-overflow" => {
            assert!(std::thread::spawn(|| overflow(0)).join().is_ok());
        }
        // SAFETY: none; that is what is tested.
        "double-free" => unsafe {
            let p = std::hint::black_box(libc::malloc(10));
            libc::free(p);
            libc::free(std::hint::black_box(p));
        },
        _ => {}
    }
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    wanted.iter().for_each(|name| die(name));
    for (name, check) in ALL {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            let start = Instant::now();
            check();
            println!("ok {name} {:?}", start.elapsed());
        }
    }
}
