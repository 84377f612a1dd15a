//! The command line: one subcommand a verb. Usage errors end with status 2 (clap's own).

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{process, size::Size};

/// Sets up, builds, boots, tests and inspects RustOS.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_version_flag = true
)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Subcommand)]
pub enum Verb {
    /// Install what is missing: Rust targets, llvm-tools, QEMU, the cross C compiler
    ///
    /// On Debian, as root or with a password-less sudo. Elsewhere it lists exactly what to
    /// install and ends with a non-zero status. Every other verb makes the same check first.
    Setup,
    /// Build the image: kernel, linked programs and root file system in one file
    Build(BuildOptions),
    /// Boot the image in QEMU: to a shell, or with -c as one command
    ///
    /// Without -c and on a terminal this is an interactive session (`exit` or Ctrl-D powers off;
    /// Ctrl-] x ends QEMU by force). With -c CMD the guest runs `sh -c CMD`; stdin, stdout, stderr and
    /// the exit status are CMD's own. Status 124 means that the time limit was reached, 125 that
    /// the kernel panicked or the machine died.
    Run(RunOptions),
    /// Run the tests: on the host, in the booted kernel, and scenarios from outside
    ///
    /// The last line reads `N passed, N failed`. Without --release the kernel is built with
    /// assertions and overflow checks.
    Test(TestOptions),
    /// Boot under GDB, with symbols for kernel and programs
    ///
    /// QEMU waits for GDB, which is started on the terminal where one is installed; otherwise the
    /// exact commands are printed.
    Debug(DebugOptions),
    /// Measure RustOS beside Linux in the same QEMU
    Bench(BenchOptions),
    /// Show where a command spends its guest instructions
    Profile(ProfileOptions),
    /// Format the sources
    Fmt {
        /// Only report what is not formatted
        #[arg(long)]
        check: bool,
    },
    /// Run clippy over all packages and targets, warnings denied
    Lint,
    /// Remove everything that a build made
    Clean,
}

/// What goes in the image.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildOptions {
    /// Kernel with assertions, overflow checks and full debug information
    #[arg(long)]
    pub debug: bool,
    /// Leave the shell out: the image then holds no GPL code
    #[arg(long)]
    pub no_shell: bool,
    /// The linked program that the kernel starts first
    #[arg(long, value_name = "PROGRAM")]
    pub init: Option<String>,
    /// Add the programs that only tests need (test-programs in Cargo.toml), as `test` does
    #[arg(long)]
    pub tests: bool,
    /// Build the kernel with a call that is slow on purpose, for `bench` to notice.
    #[arg(skip)]
    pub slow: bool,
    /// Keep the kernel's frame pointers, for `profile` to find its callers by.
    #[arg(skip)]
    pub frame_pointers: bool,
}

/// The emulated machine.
#[derive(Args, Clone, Debug)]
pub struct MachineOptions {
    /// RAM, with a unit of K, M or G
    #[arg(long, default_value = "1G", value_name = "SIZE")]
    pub memory: Size,
    /// Number of cores
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=8))]
    pub smp: u8,
    /// QEMU machine, with its properties if any (virt, virt,gic-version=3)
    #[arg(long, default_value = "virt", value_name = "MACHINE", value_parser = machine)]
    pub machine: String,
}

impl Default for MachineOptions {
    fn default() -> Self {
        Self {
            memory: Size::GIB,
            smp: 4,
            machine: "virt".into(),
        }
    }
}

#[derive(Args)]
pub struct RunOptions {
    /// Run `sh -c CMD` in the guest and end with its status
    #[arg(
        short = 'c',
        value_name = "CMD",
        allow_hyphen_values = true,
        conflicts_with = "init"
    )]
    pub command: Option<String>,
    #[command(flatten)]
    pub machine: MachineOptions,
    /// Seconds until the guest is stopped [default with -c: 60; interactive: none]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,
    /// Show the kernel's log: on stderr, in an interactive session on the terminal
    #[arg(long, short)]
    pub verbose: bool,
    /// Words to add to the kernel's command line
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true, value_parser = boot_words)]
    pub append: Option<String>,
    #[command(flatten)]
    pub build: BuildOptions,
    /// Boot this image and build nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["debug", "no_shell", "tests"])]
    pub image: Option<PathBuf>,
    /// Further arguments for QEMU
    #[arg(last = true, value_name = "QEMU-ARGS")]
    pub extra: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TestKind {
    /// Pure logic on the host, and the kernel's own tests in the booted image
    Kernel,
    /// Every operation of the surface, with its error paths
    Syscalls,
    /// Frames, page tables, copy-on-write, mmap; nothing may leak
    Memory,
    /// Many processes, much data, long loops
    Stress,
    /// Scripts compared byte for byte with GNU's results, and the README's examples
    Integration,
    /// All of these, as without a KIND; `--all` is something else
    All,
}

#[derive(Args)]
pub struct TestOptions {
    /// Which kind of test [default: all]
    #[arg(value_enum, conflicts_with = "suite")]
    pub kind: Option<TestKind>,
    /// Test the release kernel instead of the one with assertions
    #[arg(long)]
    pub release: bool,
    /// The whole matrix: both kernels, one after the other, each on 1, 2 and 4 cores, and the image without the shell
    #[arg(long, conflicts_with = "release")]
    pub all: bool,
    /// Numbers of cores that the groups of ktest run on [default: 4; with --all 1,2,4]
    #[arg(long, value_name = "N,N…", value_delimiter = ',', value_parser = clap::value_parser!(u8).range(1..=8))]
    pub smp: Vec<u8>,
    /// Test this image and build nothing; FILE.elf stands beside FILE.img
    #[arg(long, value_name = "FILE", conflicts_with_all = ["release", "all", "watch"])]
    pub image: Option<PathBuf>,
    /// Run again whenever a source file changes
    #[arg(long, conflicts_with_all = ["list", "image"])]
    pub watch: bool,
    /// Only this suite (see --list)
    #[arg(long, value_name = "NAME")]
    pub suite: Option<String>,
    /// List suites and scenario tests, run nothing
    #[arg(long)]
    pub list: bool,
    /// What the random steps of `test stress` come from [default: another each time; printed]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// How long `test stress` lasts [default: 120; with --all 1800, on each kernel]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub duration: Option<Duration>,
    /// Write the scenarios' expected results anew, from the host's tools
    #[arg(long, conflicts_with_all = ["list", "watch", "release", "all"])]
    pub record: bool,
}

impl TestOptions {
    /// The machines that ktest runs on.
    pub fn cores(&self) -> Vec<u8> {
        match (self.smp.is_empty(), self.all) {
            (false, _) => self.smp.clone(),
            (true, true) => vec![1, 2, 4],
            (true, false) => vec![4],
        }
    }
}

#[derive(Args)]
pub struct DebugOptions {
    /// Run `sh -c CMD` in the guest instead of an interactive session
    #[arg(
        short = 'c',
        value_name = "CMD",
        allow_hyphen_values = true,
        conflicts_with = "init"
    )]
    pub command: Option<String>,
    #[command(flatten)]
    pub machine: MachineOptions,
    #[command(flatten)]
    pub build: BuildOptions,
    /// TCP port of QEMU's GDB server
    #[arg(long, default_value_t = 1234, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// Boot this image and build nothing; FILE.elf stands beside FILE.img
    #[arg(long, value_name = "FILE", conflicts_with_all = ["debug", "no_shell", "tests"])]
    pub image: Option<PathBuf>,
    /// Print the commands and start nothing
    #[arg(long)]
    pub print: bool,
}

/// Which guests `bench` boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BenchGuest {
    /// RustOS, the benchmark linked into the image: calls by the direct door
    Direct,
    /// RustOS, the benchmark loaded as an ELF: calls by the trap door
    Svc,
    /// Debian's cloud kernel with the same programs
    Linux,
}

#[derive(Args)]
pub struct BenchOptions {
    /// Measures to take (all, when none is named; see --list)
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// List the measures, take none
    #[arg(long)]
    pub list: bool,
    /// Cores of both guests in the wall-clock runs; instructions are counted on one
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=8))]
    pub cores: u8,
    /// Wall-clock runs of each guest, alternating; 0 counts instructions only
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=50))]
    pub runs: u8,
    /// RAM of both guests, with a unit of K, M or G
    #[arg(long, default_value = "1G", value_name = "SIZE")]
    pub memory: Size,
    /// Write the results here as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Compare RustOS' instructions with earlier results: status 4 when one rose by more than 2%, 3 when there was nothing to compare
    ///
    /// FILE is one that --json wrote, or a line of the history: `tail -1 docs/bench/history.jsonl >FILE`.
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// Take Linux's figures from these earlier results where Linux is not booted
    #[arg(long, value_name = "FILE")]
    pub peer: Option<PathBuf>,
    /// Count all instructions twice; status 5 when a measure differs by more than 0.5%
    #[arg(long)]
    pub check_repeat: bool,
    /// Boot only this guest
    #[arg(long, value_enum, value_name = "GUEST")]
    pub only: Option<BenchGuest>,
    /// Append the results to docs/bench/history.jsonl and write docs/performance.md anew: all measures, and none failed
    #[arg(long, conflicts_with = "names")]
    pub record: bool,
    /// Write the page of charts here [default: target/bench/report.html]
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Boot this image and build nothing; FILE.elf stands beside FILE.img
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,
}

#[derive(Args)]
pub struct ProfileOptions {
    /// The command to profile, run by `sh -c`
    #[arg(short = 'c', value_name = "CMD", allow_hyphen_values = true)]
    pub command: String,
    /// Samples in a second of the host's time
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rate: u32,
    /// Lines of the table by symbol
    #[arg(long, default_value_t = 30, value_name = "N")]
    pub top: usize,
    /// Write the flame graph here [default: target/profile/flame.svg]
    #[arg(long, value_name = "FILE")]
    pub graph: Option<PathBuf>,
    /// Make the flame graph small, for a document: no script, and nothing below 1% of the samples
    #[arg(long)]
    pub small: bool,
    /// Seconds until the guest is stopped
    #[arg(long, default_value = "120", value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Duration,
    /// Profile this image and build nothing; FILE.elf stands beside FILE.img
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,
}

impl BenchOptions {
    /// The command line that measures the same once more.
    pub fn to_repeat(&self) -> String {
        let mut words = vec![
            format!("--runs {}", self.runs),
            format!("--cores {}", self.cores),
            format!("--memory {}", self.memory.short()),
        ];
        if let Some(guest) = self.only.and_then(|guest| guest.to_possible_value()) {
            words.push(format!("--only {}", guest.get_name()));
        }
        for (option, file) in [("--peer", &self.peer), ("--image", &self.image)] {
            if let Some(file) = file {
                let file = file.display().to_string();
                words.push(format!("{option} {}", process::quote(&file)));
            }
        }
        words.extend(self.names.iter().cloned());
        format!("cargo xtask bench {}", words.join(" "))
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<u64>() {
        Ok(0) => Err("the limit must be at least 1 second".into()),
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => Err(format!(
            "expected a whole number of seconds, found `{text}`"
        )),
    }
}

fn machine(text: &str) -> Result<String, String> {
    match text.split(',').next() {
        Some("virt") => Ok(text.into()),
        _ => Err("RustOS runs on `virt`, optionally with properties (virt,gic-version=3)".into()),
    }
}

/// xtask itself says how the serial line is used; what it is told here would win.
fn boot_words(text: &str) -> Result<String, String> {
    let own = |word: &&str| {
        ["console=", "cmd=", "status="]
            .iter()
            .any(|own| word.starts_with(own))
    };
    match text.split_whitespace().find(own) {
        Some(word) => Err(format!("`{word}` is for xtask alone to say")),
        None => Ok(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from([&["cargo xtask"], words].concat())
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_option_stands_in_a_page() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut text = std::fs::read_to_string(root.join("README.md")).unwrap();
        for page in std::fs::read_dir(root.join("docs")).unwrap() {
            let page = page.unwrap().path();
            if page.extension().is_some_and(|end| end == "md") {
                text += &std::fs::read_to_string(page).unwrap();
            }
        }
        let cli = Cli::command();
        let missing: Vec<_> = cli
            .get_subcommands()
            .flat_map(|verb| verb.get_arguments().map(move |word| (verb, word)))
            .filter_map(|(verb, word)| Some((verb.get_name(), word.get_long()?)))
            .filter(|(_, long)| !text.contains(&format!("--{long}")))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn usage_errors_end_with_status_2() {
        for words in [
            &["run", "--no-such-option"][..],
            &["run", "--timeout", "soon"],
            &["run", "--timeout", "0"],
            &["run", "--memory", "much"],
            &["run", "--smp", "0"],
            &["run", "--machine", "pc"],
            &["run", "--append", "init=ls console=tty"],
            &["run", "--image", "f", "--tests"],
            &["debug", "--port", "0"],
            &["test", "memory", "--suite", "host"],
            &["test", "--watch", "--image", "f"],
            &["test", "--record", "--all"],
            &["bench", "--record", "getpid"],
            &["test", "everything"],
            &["no-such-verb"],
        ] {
            let error = parse(words)
                .err()
                .unwrap_or_else(|| panic!("{words:?} was accepted"));
            assert_eq!(error.exit_code(), 2, "{words:?}");
        }
    }

    #[test]
    fn bench_counts_on_one_core_and_refuses_what_it_does_not_know() {
        let Verb::Bench(bench) = parse(&["bench", "--only", "svc", "getpid"]).unwrap().verb else {
            panic!()
        };
        assert_eq!(bench.only, Some(BenchGuest::Svc));
        assert_eq!((bench.cores, bench.runs), (1, 3));
        for words in [
            ["--cores", "0"],
            ["--cores", "9"],
            ["--only", "bsd"],
            ["--runs", "x"],
        ] {
            assert!(
                parse(&[&["bench"], &words[..]].concat()).is_err(),
                "{words:?}"
            );
        }
    }

    #[test]
    fn a_command_may_start_with_a_hyphen() {
        let Verb::Run(run) = parse(&["run", "-c", "-x"]).unwrap().verb else {
            panic!()
        };
        assert_eq!(run.command.as_deref(), Some("-x"));
    }

    #[test]
    fn words_after_two_hyphens_go_to_qemu() {
        let Verb::Run(run) = parse(&["run", "--", "-d", "int"]).unwrap().verb else {
            panic!()
        };
        assert_eq!(run.extra, ["-d", "int"]);
    }
}
