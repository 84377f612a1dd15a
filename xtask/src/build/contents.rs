//! What a finished image holds, as far as the image itself tells.

use std::{collections::BTreeSet, io::Read};

use anyhow::{Context, Result};
use memchr::memmem;

/// The member of the packed root file system with the names for `/bin`.
pub const PROGRAMS: &str = ".programs";
/// What all functions of the kernel's tests of itself begin with, in the table of its symbols; only a kernel with
/// assertions has them.
const SELF_TESTS: &str = "libos_kernel::self_test::";

#[derive(Debug, PartialEq, Eq)]
pub struct Contents {
    pub programs: BTreeSet<String>,
    pub has_assertions: bool,
}

pub fn of(image: &[u8]) -> Result<Contents> {
    // A tar header: the name is its first field, the magic its tenth (POSIX pax).
    let name = format!("{PROGRAMS}\0");
    let header = memmem::find_iter(image, &name)
        .find(|at| image[*at..].get(257..262) == Some(b"ustar"))
        .context("no root file system is packed in it")?;
    let mut archive = tar::Archive::new(&image[header..]);
    let mut list = String::new();
    let first = archive.entries()?.next();
    first
        .context("the packed root file system is cut")??
        .read_to_string(&mut list)
        .context("the packed root file system is cut")?;
    Ok(Contents {
        programs: list.lines().map(str::to_owned).collect(),
        has_assertions: memmem::find(image, SELF_TESTS.as_bytes()).is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(kernel: &str, programs: &str) -> Vec<u8> {
        let mut image = format!("{kernel} .programs\0 is no archive").into_bytes();
        let mut tar = tar::Builder::new(&mut image);
        super::super::rootfs::add_file(&mut tar, PROGRAMS, 0o444, programs.as_bytes()).unwrap();
        tar.finish().unwrap();
        drop(tar);
        image
    }

    #[test]
    fn programs_and_kernel_are_told() {
        let debug = of(&image("libos_kernel::self_test::run", "ls\nsh\n")).unwrap();
        assert!(debug.programs.iter().eq(["ls", "sh"]) && debug.has_assertions);
        let release = of(&image("libos_kernel::run", "")).unwrap();
        assert!(release.programs.is_empty() && !release.has_assertions);
    }

    #[test]
    fn what_is_no_image_of_ours_is_an_error() {
        assert!(of(b"").is_err());
        assert!(of(b".programs\0").is_err());
        let whole = image("", "ls\n");
        let header = memmem::rfind(&whole, b".programs\0").unwrap();
        assert!(of(&whole[..header + 300]).is_err());
    }
}
