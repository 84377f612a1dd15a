//! Hands the linker script, the kernel object and the packed root file system to the image's link.
//!
//! `cargo xtask build` makes those objects first and names them in the environment; a plain
//! `cargo build` of this package for the image's target therefore stops here with a hint.

use std::{env, path::PathBuf};

/// Objects to link besides Rust's own, one a line.
const OBJECTS: &str = "RUSTOS_OBJECTS";
/// Folder with the toolchain's libunwind and an empty libc.a: the C library is `libos/libc`.
const LIB_DIR: &str = "RUSTOS_LIB_DIR";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=linker.ld");
    println!("cargo::rerun-if-env-changed={OBJECTS}");
    println!("cargo::rerun-if-env-changed={LIB_DIR}");

    // Checks on the host (clippy, rust-analyzer) link nothing.
    if env::var("CARGO_CFG_TARGET_ARCH").as_deref() != Ok("aarch64") {
        return;
    }
    let (Ok(objects), Ok(lib_dir)) = (env::var(OBJECTS), env::var(LIB_DIR)) else {
        // `cargo check` and clippy run this script too, and need no link.
        println!("cargo::warning=the image is linked by `cargo xtask build`, not by cargo alone");
        return;
    };
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));

    println!("cargo::rustc-link-search=native={lib_dir}");
    link_arg(&format!("-T{}", root.join("linker.ld").display()));
    link_arg("-static");
    link_arg("--no-pie");
    // Programs carry copies of the same crates in several versions; equal functions become one.
    link_arg("--icf=all");
    for object in objects.lines() {
        println!("cargo::rerun-if-changed={object}");
        link_arg(object);
    }
}

fn link_arg(arg: &str) {
    println!("cargo::rustc-link-arg-bins={arg}");
}
