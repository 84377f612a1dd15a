//! QEMU's command line for the machines that RustOS boots on.

use std::path::Path;

use crate::cli::MachineOptions;

pub const PROGRAM: &str = "qemu-system-aarch64";

/// Arguments that start `image` with its only serial line on QEMU's stdin and stdout.
///
/// `words` is the kernel's command line.
pub fn arguments(image: &Path, machine: &MachineOptions, words: &str) -> Vec<String> {
    let mut arguments: Vec<String> = Vec::new();
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(|&word| word.to_owned()));
    add(&["-M", &machine.machine, "-cpu", "cortex-a72"]);
    add(&[
        "-smp",
        &machine.smp.to_string(),
        "-m",
        &machine.memory.to_string(),
    ]);
    // Nothing but what is asked for: no network card, no display, no monitor on the serial line.
    add(&[
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
    ]);
    // `signal=off` passes Ctrl-C on as a byte.
    add(&[
        "-chardev",
        "stdio,id=console,signal=off",
        "-serial",
        "chardev:console",
    ]);
    // The guest ends QEMU with a status of its own when its kernel panics.
    add(&["-semihosting-config", "enable=on,target=native"]);
    add(&["-kernel", &image.display().to_string()]);
    add(&["-append", &format!("semihosting=1 {words}")]);
    arguments
}

/// A command as a word of the kernel's command line, which knows neither quotes nor newlines.
pub fn command_word(command: &[u8]) -> String {
    let hex: String = command.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("cmd={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_becomes_one_word() {
        assert_eq!(command_word(b"a 'b'\n"), "cmd=61202762270a");
    }

    #[test]
    fn the_machine_is_what_was_asked_for() {
        let machine = MachineOptions {
            memory: "48M".parse().unwrap(),
            smp: 2,
            machine: "virt".into(),
        };
        let line = arguments(Path::new("i.img"), &machine, "x=1").join(" ");
        for part in [
            "-M virt",
            "-smp 2",
            "-m 49152K",
            "-kernel i.img",
            "semihosting=1 x=1",
        ] {
            assert!(line.contains(part), "{part} in {line}");
        }
    }
}
