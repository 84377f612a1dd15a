//! The link of a program of ours on Linux: our script, an empty `libc.a`, the toolchain's unwinder.

use std::{env, fs, path::PathBuf, process::Command};

fn main() {
    let out = PathBuf::from(env::var("OUT_DIR").unwrap());
    let rustc = env::var("RUSTC").unwrap();
    let sysroot = Command::new(rustc)
        .args(["--print", "sysroot"])
        .output()
        .unwrap()
        .stdout;
    let sysroot = PathBuf::from(String::from_utf8(sysroot).unwrap().trim());
    let lib = sysroot.join("lib/rustlib/aarch64-unknown-linux-musl/lib/self-contained");
    fs::copy(lib.join("libunwind.a"), out.join("libunwind.a")).unwrap();
    fs::write(out.join("libc.a"), b"!<arch>\n").unwrap();
    let here = env::var("CARGO_MANIFEST_DIR").unwrap();
    println!("cargo::rerun-if-changed=svc.ld");
    println!("cargo::rustc-link-search=native={}", out.display());
    for arg in [
        "-static",
        "--no-pie",
        "--eh-frame-hdr",
        &format!("-T{here}/svc.ld"),
    ] {
        println!("cargo::rustc-link-arg={arg}");
    }
}
