//! `debug`: the image waiting for GDB, with symbols for kernel and programs.

use std::{
    ffi::c_int,
    io::IsTerminal,
    net::{Ipv4Addr, TcpListener},
    os::fd::AsRawFd,
    process::{Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
};

use anyhow::{Context, Result, anyhow, bail};
use fs_err::{self as fs, File};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::SIGINT;

use crate::{
    build,
    cli::DebugOptions,
    emulator::{self, Call, Emulator},
    failure::Failure,
    process::{describe, quote},
    project::Project,
    qemu, setup, signals, terminal,
};

/// `cargo xtask debug`.
pub fn run(project: &Project, options: &DebugOptions) -> Result<u8> {
    setup::ensure(project, setup::TO_RUN)?;
    let image = match &options.image {
        Some(file) => build::Image::existing(file)?,
        None => build::image(project, &options.build)?,
    };
    let mut words = vec![terminal::words()];
    if let Some(init) = &options.build.init {
        words.push(format!("init={init}"));
    }
    if let Some(command) = &options.command {
        words.push(qemu::command_word(command.as_bytes()));
    }
    let mut arguments = qemu::arguments(&image.file, &options.machine, &words.join(" "));
    arguments.push("-S".into());

    let debugger = ["gdb-multiarch", "gdb"]
        .into_iter()
        .find(|name| knows_arm(name));
    let mut gdb = Command::new(debugger.unwrap_or("gdb-multiarch"));
    gdb.arg(image.elf()?)
        .args(["-ex", "set architecture aarch64"])
        .args(["-ex", &format!("target remote localhost:{}", options.port)]);

    if options.print || debugger.is_none() || !std::io::stdin().is_terminal() {
        if debugger.is_none() {
            note!("xtask: no GDB for Arm here; on Debian it is the package gdb-multiarch");
        }
        let server = ["-gdb".into(), format!("tcp:localhost:{}", options.port)];
        arguments.extend(server);
        let mut qemu = Command::new(qemu::PROGRAM);
        qemu.args(arguments);
        say!("In one terminal, QEMU, which waits for GDB:\n");
        say!("  {}\n", full(&qemu));
        say!("In another:\n\n  {}", full(&gdb));
        return Ok(0);
    }

    // The terminal is GDB's; the guest's console goes to a file that can be followed.
    let folder = project.target.join("rustos");
    fs::create_dir_all(&folder)?;
    let console = folder.join("debug-console.log");
    let log = File::create(&console)?;
    let mut qemu = start(arguments, options.port, &log)?;
    note!("xtask: {}", describe(&gdb));
    note!(
        "xtask: the guest's console: tail -f {}",
        quote(&console.display().to_string())
    );
    let ended = follow(&mut gdb)?;
    // GDB's `kill` and the guest itself end it in order.
    if let Ok(Some(status)) = qemu.child.try_wait()
        && let Some(why) = emulator::complaint(status)
    {
        bail!("{why}; {} has its last words", console.display());
    }
    Ok(if ended.success() { 0 } else { 1 })
}

/// The port is taken here, so that it is known to be free, and GDB may come before QEMU is ready for it.
fn start(arguments: Vec<String>, port: u16, log: &File) -> Result<Emulator> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .with_context(|| format!("port {port} cannot be had (--port takes another)"))?;
    let mut call = Call::from(arguments);
    let descriptor = listener.as_raw_fd();
    call.arguments.extend([
        "-chardev".into(),
        format!("socket,id=gdb,fd={descriptor},server=on,wait=off"),
        "-gdb".into(),
        "chardev:gdb".into(),
    ]);
    call.passed.push(listener.into());
    let (out, err) = (log.file().try_clone()?, log.file().try_clone()?);
    Emulator::start(call, Stdio::null(), out.into(), err.into())
}

/// Runs GDB on the terminal. Ctrl-C there is GDB's, which stops the guest by it.
fn follow(gdb: &mut Command) -> Result<ExitStatus> {
    enum Event {
        Signal(c_int),
        Ended(std::io::Result<ExitStatus>),
    }
    let (send, events) = mpsc::channel();
    // In both: nobody listens once GDB has ended.
    let _listening = signals::listen({
        let send = send.clone();
        move |signal| {
            send.send(Event::Signal(signal)).ok();
        }
    })?;
    let mut child = gdb.spawn().context("cannot start GDB")?;
    let process = Pid::from_child(&child);
    thread::spawn(move || send.send(Event::Ended(child.wait())).ok());
    let mut told = None;
    loop {
        match events.recv()? {
            Event::Signal(SIGINT) => {}
            Event::Signal(signal) => {
                told = Some(signal);
                // It puts the terminal in order. Failing means that it has ended.
                kill_process(process, Signal::TERM).ok();
            }
            Event::Ended(status) => match told {
                Some(signal) => return Err(Failure::Interrupted(signal).into()),
                None => return status.map_err(|error| anyhow!("waiting for GDB: {error}")),
            },
        }
    }
}

/// Whether there is a GDB of that name, for this machine. A plain `gdb` may know the host's alone.
fn knows_arm(name: &str) -> bool {
    let mut probe = Command::new(name);
    probe.args(["-nx", "-batch", "-ex", "set architecture aarch64"]);
    probe.stdin(Stdio::null()).output().is_ok_and(|output| {
        output.status.success() && !String::from_utf8_lossy(&output.stderr).contains("Undefined")
    })
}

/// The whole command, to be copied.
fn full(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| quote(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}
