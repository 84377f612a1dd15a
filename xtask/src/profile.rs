//! `profile`: where a command spends its guest instructions, as a flame graph and as a table.
//!
//! QEMU's GDB stub stops the guest again and again; each stop gives the program counter and the chain of
//! frame pointers. Under `-icount` QEMU runs at an even pace and skips idle time, so that samples
//! even in time are about even in instructions.

mod calls;
mod stacks;
mod stub;
mod symbols;

use std::{
    io::Write,
    os::{fd::AsRawFd, unix::net::UnixStream},
    thread,
    time::Duration,
};

use anyhow::{Result, bail};
use fs_err as fs;

use crate::{
    build::{self, Image},
    cli::{BuildOptions, MachineOptions, ProfileOptions},
    emulator::Call,
    failure::STATUS_USAGE,
    files,
    guest::{self, End},
    out,
    project::Project,
    qemu, run, setup,
};
use stacks::Stacks;
use symbols::Symbols;

/// `cargo xtask profile`.
pub fn run(project: &Project, options: &ProfileOptions) -> Result<u8> {
    files::check(options.graph.as_deref())?;
    setup::ensure(project, setup::TO_RUN)?;
    let image = match &options.image {
        Some(file) => Image::existing(file)?,
        None => {
            let build = BuildOptions {
                frame_pointers: true,
                ..BuildOptions::default()
            };
            build::image(project, &build)?
        }
    };
    let symbols = Symbols::load(image.elf()?)?;
    let folder = project.target.join("profile");
    fs::create_dir_all(&folder)?;

    let (ours, qemus) = UnixStream::pair()?;
    let mut call = Call::from(arguments(&image, &options.command));
    call.arguments.extend(held_for(&qemus));
    call.passed.push(qemus.into());
    let pause = Duration::from_secs(1) / options.rate;
    let sampler = thread::spawn(move || stub::sample(ours, pause));
    let (boot, output) = guest::capture(call, options.timeout)?;
    let Ok(samples) = sampler.join() else {
        bail!("the sampling thread panicked");
    };
    let samples = match samples {
        // QEMU's own reason says more than that its stub was lost.
        Err(_) if !matches!(boot.end, End::Exit(_)) => Vec::new(),
        samples => samples?,
    };

    out::pass_on(&output.stdout);
    // As everywhere, losing stderr is no reason to stop.
    std::io::stderr().write_all(&output.stderr).ok();
    if samples.is_empty() {
        let status = run::conclude(&boot, false);
        note!("xtask: the guest ended before the first sample");
        return Ok(status.max(1));
    }
    let stacks = Stacks::new(&samples, &symbols);
    let file = match &options.graph {
        Some(file) => file.clone(),
        None => folder.join("flame.svg"),
    };
    let drawn = stacks.flame_graph(&file, &options.command, options.small);
    note!("{}", stacks.table(options.top).trim_end());
    let command = calls::counted(&options.command);
    let calls = calls::count(
        self::arguments(&image, &command),
        &symbols,
        &folder,
        options.timeout,
    );
    match calls {
        Ok(calls) => note!("{}", stacks.doors(&calls, options.top).trim_end()),
        Err(error) => note!("xtask: the calls could not be counted: {error:#}"),
    }
    let written = files::was_written(&file, drawn);
    let status = run::conclude(&boot, false);
    Ok(if written { status } else { STATUS_USAGE })
}

fn arguments(image: &Image, command: &str) -> Vec<String> {
    let machine = MachineOptions {
        smp: 1,
        ..MachineOptions::default()
    };
    let words = format!("console=framed {}", qemu::command_word(command.as_bytes()));
    let mut arguments = qemu::arguments(&image.file, &machine, &words);
    arguments.extend(["-icount", "shift=0,sleep=off"].map(String::from));
    arguments
}

/// QEMU waits for the sampler, so that the boot is seen as well. A socket without a name is in nobody's way, and ends with
/// QEMU.
fn held_for(socket: &UnixStream) -> [String; 5] {
    let descriptor = socket.as_raw_fd();
    [
        "-S".into(),
        "-chardev".into(),
        format!("socket,id=gdb,fd={descriptor}"),
        "-gdb".into(),
        "chardev:gdb".into(),
    ]
}
