use super::out::Out;
use super::status::cpu_list;
use super::{node, system};
use crate::fs::types::Hashed;
use alloc::vec::Vec;

#[test]
fn lists_of_cores_are_short() {
    assert_eq!(cpu_list(0b1111), "0-3");
    assert_eq!(cpu_list(0b100111), "0-2,5");
    assert_eq!(cpu_list(0), "");
}

#[test]
fn blanks_in_mount_tables_are_octal() {
    let mut out = Out::default();
    out.escaped(b"a b\\c");
    assert_eq!(out.0, b"a\\040b\\134c");
}

#[test]
fn the_version_names_the_kernel() {
    let mut out = Out::default();
    system::version(&mut out).unwrap();
    let text = String::from_utf8(out.0).unwrap();
    assert!(
        text.starts_with("RustOS version ") && text.contains("kernel"),
        "{text}"
    );
}

#[test]
fn every_name_that_is_listed_is_found_once() {
    let root = node::root();
    let mut names = Vec::new();
    root.readdir(0, &mut |e| {
        names.push((e.name.to_vec(), e.ino, e.kind));
        true
    })
    .unwrap();
    for (name, ino, kind) in &names {
        let inode = root.lookup(Hashed::new(name)).unwrap();
        assert_eq!((inode.ino(), inode.kind()), (*ino, *kind));
    }
    let mut numbers: Vec<u64> = names.iter().map(|n| n.1).collect();
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), names.len());
    assert!(
        root.lookup(Hashed::new(b"sys"))
            .unwrap()
            .lookup(Hashed::new(b"kernel"))
            .unwrap()
            .lookup(Hashed::new(b"random"))
            .is_ok()
    );
    assert!(root.lookup(Hashed::new(b"01")).is_err());
}
