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
    fs,
    io::Write,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{
    build::{self, Image},
    cli::{BuildOptions, MachineOptions, ProfileOptions},
    guest::{self, Captured, End, Input},
    project::Project,
    qemu, setup,
};
use stacks::Stacks;
use symbols::Symbols;

/// `cargo xtask profile`.
pub fn run(project: &Project, options: &ProfileOptions) -> Result<u8> {
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
    let symbols = Symbols::load(&image.elf)?;
    let folder = project.target.join("profile");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;

    let socket = Socket(folder.join(format!("gdb.{}", std::process::id())));
    let sampler = thread::spawn({
        let path = socket.0.clone();
        let pause = Duration::from_secs(1) / options.rate;
        move || stub::sample(&path, pause)
    });
    let mut output = Captured::default();
    let mut arguments = arguments(&image, &options.command);
    arguments.extend(held_for(&socket.0));
    let boot = guest::boot(
        &arguments,
        Input::Bytes(Vec::new()),
        &mut output,
        Some(options.timeout),
    )?;
    let samples = match sampler.join() {
        Ok(samples) => samples?,
        Err(_) => anyhow::bail!("the sampling thread panicked"),
    };

    std::io::stdout().write_all(&output.stdout)?;
    std::io::stderr().write_all(&output.stderr)?;
    let stacks = Stacks::new(&samples, &symbols);
    let file = match &options.graph {
        Some(file) => file.clone(),
        None => folder.join("flame.svg"),
    };
    stacks.flame_graph(&file, &options.command, options.small)?;
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
    note!("xtask: wrote {}", file.display());
    match boot.end {
        End::Exit(status) => Ok((status & 0xff) as u8),
        other => {
            note!("{}\nxtask: the guest ended early: {other:?}", boot.log);
            Ok(1)
        }
    }
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

fn held_for(socket: &Path) -> [String; 3] {
    // A comma would end the path; QEMU takes two for one.
    let path = socket.display().to_string().replace(',', ",,");
    [
        // Held until the sampler has come, so that the boot is seen as well.
        "-S".into(),
        "-gdb".into(),
        format!("unix:{path},server=on,wait=off"),
    ]
}

/// A socket's file, which goes away with the value.
struct Socket(PathBuf);

impl Drop for Socket {
    fn drop(&mut self) {
        // QEMU may have removed it.
        fs::remove_file(&self.0).ok();
    }
}
