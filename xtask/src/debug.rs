//! `debug`: the image waiting for GDB, with symbols for kernel and programs.

use std::{
    io::IsTerminal,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use crate::{
    build,
    cli::DebugOptions,
    process::{describe, quote},
    project::Project,
    qemu, setup, terminal,
};

/// `cargo xtask debug`.
pub fn run(project: &Project, options: &DebugOptions) -> Result<u8> {
    setup::ensure(project, setup::TO_RUN)?;
    let image = build::image(project, &options.build)?;
    let mut words = vec![terminal::words()];
    if let Some(init) = &options.build.init {
        words.push(format!("init={init}"));
    }
    if let Some(command) = &options.command {
        words.push(qemu::command_word(command.as_bytes()));
    }
    let mut emulator = Command::new(qemu::PROGRAM);
    emulator
        .args(qemu::arguments(
            &image.file,
            &options.machine,
            &words.join(" "),
        ))
        .args(["-S", "-gdb", &format!("tcp:localhost:{}", options.port)]);

    let debugger = ["gdb-multiarch", "gdb"]
        .into_iter()
        .find(|name| setup::on_path(name).is_some());
    let mut gdb = Command::new(debugger.unwrap_or("gdb-multiarch"));
    gdb.arg(&image.elf)
        .args(["-ex", "set architecture aarch64"])
        .args(["-ex", &format!("target remote localhost:{}", options.port)]);

    if options.print || debugger.is_none() || !std::io::stdin().is_terminal() {
        if debugger.is_none() {
            note!("xtask: no GDB here; on Debian it is the package gdb-multiarch");
        }
        say!("In one terminal, QEMU, which waits for GDB:\n");
        say!("  {}\n", full(&emulator));
        say!("In another:\n\n  {}", full(&gdb));
        return Ok(0);
    }

    // The terminal is GDB's; the guest's console goes to a file that can be followed.
    let console = project.target.join("rustos/debug-console.log");
    let log = std::fs::File::create(&console)
        .with_context(|| format!("cannot write {}", console.display()))?;
    note!("xtask: {}", describe(&emulator));
    note!(
        "xtask: the guest's console: tail -f {}",
        quote(&console.display().to_string())
    );
    let mut child = emulator
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    let status = gdb.status();
    // Failing means that GDB has ended it already.
    child.kill().ok();
    child.wait()?;
    Ok(if status?.success() { 0 } else { 1 })
}

/// The whole command, to be copied.
fn full(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| quote(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}
