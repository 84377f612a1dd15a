//! The results of one run, as kept in a file and in the history.

use std::{path::Path, process::Command};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{collect::Clock, measures::Measure};
use crate::{
    build::Image,
    cli::{BenchGuest, BenchOptions},
    process,
    project::Project,
    qemu,
};

use fs_err as fs;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Results {
    /// UTC, as `date` prints it.
    pub date: String,
    pub commit: String,
    pub qemu: String,
    pub host: String,
    /// Version of the Linux package, when it was booted.
    pub linux: Option<String>,
    pub cores: u8,
    pub runs: u8,
    pub memory: u64,
    /// The command line that measures the same once more; none in results of before there was this.
    #[serde(default)]
    pub command: String,
    pub sizes: Vec<Named>,
    pub skipped: Vec<Skipped>,
    pub measures: Vec<Measured>,
}

/// A size in bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Named {
    pub name: String,
    pub bytes: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Skipped {
    pub what: String,
    pub reason: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Measured {
    pub name: String,
    pub about: String,
    pub direct: Figures,
    pub linux: Figures,
}

/// One measure in one guest.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    /// Guest instructions of one repetition.
    pub instructions: Option<f64>,
    /// Bytes of RAM, for measures of size.
    #[serde(default)]
    pub bytes: Option<f64>,
    /// Nanoseconds of one repetition, a figure a run.
    pub wall: Vec<f64>,
    pub failed: Option<String>,
    /// The guest's last words, when it failed.
    pub log: String,
}

impl Figures {
    pub fn wall_median(&self) -> Option<f64> {
        let mut sorted = self.wall.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => None,
            even if even % 2 == 0 => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
            _ => Some(sorted[middle]),
        }
    }

    /// Half the distance from the fastest to the slowest run, as a share of the median; one run has none.
    pub fn wall_spread(&self) -> Option<f64> {
        if self.wall.len() < 2 {
            return None;
        }
        let median = self.wall_median()?;
        let least = self.wall.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.wall.iter().copied().fold(0.0, f64::max);
        Some((most - least) / 2.0 / median.max(f64::MIN_POSITIVE))
    }
}

impl Measured {
    /// How many times more instructions Linux takes.
    pub fn instruction_ratio(&self) -> Option<f64> {
        ratio(self.linux.instructions?, self.direct.instructions?)
    }

    /// How many times more memory Linux takes.
    pub fn size_ratio(&self) -> Option<f64> {
        ratio(self.linux.bytes?, self.direct.bytes?)
    }

    /// How many times longer Linux takes by the clock on the wall.
    pub fn wall_ratio(&self) -> Option<f64> {
        ratio(self.linux.wall_median()?, self.direct.wall_median()?)
    }
}

fn ratio(linux: f64, direct: f64) -> Option<f64> {
    (direct > 0.0).then_some(linux / direct)
}

impl Results {
    pub fn new(project: &Project, options: &BenchOptions) -> Result<Self> {
        let text = |command: &mut Command| {
            process::capture(command)
                .map(|out| String::from_utf8_lossy(&out).trim().to_owned())
                .unwrap_or_else(|_| "unknown".into())
        };
        let git = |words: &[&str]| text(Command::new("git").current_dir(&project.root).args(words));
        let mut commit = git(&["rev-parse", "--short", "HEAD"]);
        if !git(&["status", "--porcelain", "--untracked-files=no"]).is_empty() {
            commit.push_str(" with changes");
        }
        let qemu = text(Command::new(qemu::PROGRAM).arg("--version"));
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or("unknown processor", |(_, model)| model);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            date: text(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M"])),
            commit,
            qemu: qemu.lines().next().unwrap_or_default().into(),
            host: format!("{model}, {cores} cores"),
            cores: options.cores,
            runs: options.runs,
            memory: options.memory.bytes(),
            command: options.to_repeat(),
            ..Self::default()
        })
    }

    pub fn load(file: &Path) -> Result<Self> {
        let text = fs::read(file)?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} holds no results of `bench`", file.display()))
    }

    pub fn store(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        Ok(fs::write(file, text)?)
    }

    pub fn find(&self, name: &str) -> Option<&Measured> {
        self.measures.iter().find(|measured| measured.name == name)
    }

    pub fn to_repeat(&self) -> String {
        if self.command.is_empty() {
            let (runs, cores) = (self.runs, self.cores);
            return format!("cargo xtask bench --runs {runs} --cores {cores}");
        }
        self.command.clone()
    }

    /// What RustOS takes for it.
    pub fn instructions(&self, name: &str) -> Option<f64> {
        self.find(name)?.direct.instructions
    }

    pub fn any_failed(&self) -> bool {
        self.measures
            .iter()
            .any(|m| m.direct.failed.is_some() || m.linux.failed.is_some())
    }

    fn figures(&mut self, name: &str, guest: BenchGuest) -> &mut Figures {
        let index = match self.measures.iter().position(|m| m.name == name) {
            Some(index) => index,
            None => {
                self.measures.push(Measured {
                    name: name.into(),
                    ..Measured::default()
                });
                self.measures.len() - 1
            }
        };
        let measured = &mut self.measures[index];
        match guest {
            BenchGuest::Linux => &mut measured.linux,
            BenchGuest::Direct | BenchGuest::Svc => &mut measured.direct,
        }
    }

    pub fn add(&mut self, name: &str, guest: BenchGuest, clock: Clock, figure: f64) {
        let figures = self.figures(name, guest);
        match clock {
            Clock::Instructions => figures.instructions = Some(figure),
            Clock::Wall => figures.wall.push(figure),
        }
    }

    pub fn add_bytes(&mut self, name: &str, guest: BenchGuest, bytes: f64) {
        self.figures(name, guest).bytes = Some(bytes);
    }

    pub fn fail(&mut self, name: &str, guest: BenchGuest, why: &str, log: &str) {
        let figures = self.figures(name, guest);
        figures.failed = Some(why.into());
        figures.log = log.into();
    }

    /// Fills in what Linux took in an earlier run, for measures that this one has.
    pub fn take_linux_from(&mut self, earlier: Self) {
        for measured in &mut self.measures {
            let linux = &mut measured.linux;
            if linux.instructions.is_none()
                && linux.bytes.is_none()
                && linux.failed.is_none()
                && let Some(earlier) = earlier.find(&measured.name)
            {
                *linux = earlier.linux.clone();
            }
        }
        if let (None, Some(linux)) = (&self.linux, earlier.linux) {
            self.linux = Some(format!("{linux}, measured {}", earlier.date));
        }
    }

    /// Puts the measures in the order of the list, with what they are.
    pub fn in_order(&mut self, list: &[Measure]) {
        let place = |name: &str| list.iter().position(|m| m.name == name);
        self.measures.sort_by_key(|measured| place(&measured.name));
        for measured in &mut self.measures {
            if let Some(index) = place(&measured.name) {
                measured.about.clone_from(&list[index].about);
            }
        }
    }
}

/// What the image and its parts weigh.
pub fn sizes(image: &Image) -> Result<Vec<Named>> {
    use object::{Object, ObjectSection};
    let file = fs::metadata(&image.file)?;
    let elf = image.elf()?;
    let elf = fs::read(elf)?;
    let elf = object::File::parse(&*elf)?;
    let kernel = elf
        .sections()
        .filter(|section| {
            section.kind() != object::SectionKind::UninitializedData
                && section
                    .name()
                    .is_ok_and(|name| name.starts_with(".kernel") || name == ".head.text")
        })
        .map(|section| section.size())
        .sum();
    Ok(vec![
        Named {
            name: "image".into(),
            bytes: file.len(),
        },
        Named {
            name: "kernel alone".into(),
            bytes: kernel,
        },
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_say_how_much_more_linux_takes() {
        let mut results = Results::default();
        results.add("m", BenchGuest::Direct, Clock::Instructions, 10.0);
        results.add("m", BenchGuest::Linux, Clock::Instructions, 45.0);
        assert_eq!(results.measures[0].instruction_ratio(), Some(4.5));
        assert_eq!(results.measures[0].wall_ratio(), None);
    }

    #[test]
    fn median_and_spread_of_runs() {
        let figures = Figures {
            wall: vec![120.0, 100.0, 90.0],
            ..Figures::default()
        };
        assert_eq!(figures.wall_median(), Some(100.0));
        assert_eq!(figures.wall_spread(), Some(0.15));
        let even = Figures {
            wall: vec![4.0, 1.0, 3.0, 2.0],
            ..Figures::default()
        };
        assert_eq!(even.wall_median(), Some(2.5));
        assert_eq!(Figures::default().wall_median(), None);
        let once = Figures {
            wall: vec![4.0],
            ..Figures::default()
        };
        assert_eq!((once.wall_median(), once.wall_spread()), (Some(4.0), None));
    }

    #[test]
    fn linux_is_taken_from_earlier_results_only_where_it_was_not_booted() {
        let mut earlier = Results {
            linux: Some("linux-6".into()),
            date: "then".into(),
            ..Results::default()
        };
        let mut now = Results::default();
        for name in ["a", "b"] {
            now.add(name, BenchGuest::Direct, Clock::Instructions, 1.0);
            earlier.add(name, BenchGuest::Linux, Clock::Instructions, 9.0);
        }
        earlier.add("c", BenchGuest::Linux, Clock::Instructions, 9.0);
        now.add("b", BenchGuest::Linux, Clock::Instructions, 5.0);
        now.take_linux_from(earlier);
        let ratios: Vec<_> = now
            .measures
            .iter()
            .map(Measured::instruction_ratio)
            .collect();
        assert_eq!(ratios, [Some(9.0), Some(5.0)]);
        assert_eq!(now.linux.as_deref(), Some("linux-6, measured then"));
    }

    #[test]
    fn measures_follow_the_list() {
        let mut results = Results::default();
        for name in ["b", "a"] {
            results.add(name, BenchGuest::Direct, Clock::Wall, 1.0);
        }
        let list = ["a", "b"].map(|name| Measure {
            name: name.into(),
            about: format!("about {name}"),
        });
        results.in_order(&list);
        assert_eq!(results.measures[0].about, "about a");
    }
}
