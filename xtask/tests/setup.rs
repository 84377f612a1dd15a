//! `setup` where things are missing: what it says, and that it changes nothing when told so.

mod support;

use std::fs;

use support::{Host, check};

#[test]
fn nothing_is_installed_where_that_is_forbidden() {
    let host = Host::without(&["qemu-system"]);
    let calls = host.folder().join("calls");
    let call = format!("echo \"$0 $*\" >>{}", calls.display());
    let host = ["apt-get", "sudo", "rustup", "install", "tee"]
        .iter()
        .fold(host, |host, name| host.with(name, &call));
    let output = host.xtask(&["setup"]).output().unwrap();
    let said = [
        "RUSTOS_NO_INSTALL is set",
        "install by hand",
        "qemu-system-arm",
    ];
    check(&output, 1, &said);
    let made = fs::read_to_string(calls).unwrap_or_default();
    assert!(made.is_empty(), "{made}");
}
