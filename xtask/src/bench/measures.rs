//! Which measures there are: the benchmark program's own, and what only the host can see.

use anyhow::Result;

use crate::{process, project::Project};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    pub name: String,
    pub about: String,
}

/// Power-on to the first command of a `-c` script.
pub const BOOT: &str = "boot_to_first_line";
/// Power-on to the start of PID 1.
pub const BOOT_TO_INIT: &str = "boot_to_init";
/// Power-on to an interactive shell's prompt.
pub const BOOT_TO_PROMPT: &str = "boot_to_prompt";
/// RAM that is not available once the script runs.
pub const RAM: &str = "ram_after_boot";

impl Measure {
    fn new(name: &str, about: &str) -> Self {
        Self {
            name: name.into(),
            about: about.into(),
        }
    }

    /// Whether the benchmark program takes it.
    pub fn in_program(&self) -> bool {
        !matches!(&*self.name, BOOT | BOOT_TO_INIT | BOOT_TO_PROMPT | RAM)
    }

    /// Cores of the machine that it is taken on: all those of `_4c` are about having four.
    pub fn cores(&self) -> u8 {
        if self.name.ends_with("_4c") { 4 } else { 1 }
    }

    /// Whether its figure is bytes of RAM.
    pub fn in_bytes(&self) -> bool {
        self.name.starts_with("ram_")
    }

    /// Whether it runs the shell and the utilities rather than the benchmark alone.
    pub fn needs_programs(&self) -> bool {
        self.name.starts_with("job_")
            || matches!(
                &*self.name,
                "spawn_true" | "spawn_sh" | BOOT | BOOT_TO_PROMPT
            )
    }
}

/// All measures, in the order of reports. The program is built for the host and asked.
pub fn known(project: &Project) -> Result<Vec<Measure>> {
    let mut cargo = project.cargo();
    cargo.args(["run", "--quiet", "--package", "bench", "--", "--list"]);
    let list = process::capture(&mut cargo)?;
    let list = String::from_utf8_lossy(&list);
    let mut measures = vec![
        Measure::new(BOOT_TO_INIT, "power-on to the start of PID 1"),
        Measure::new(BOOT, "power-on to the first command of a -c script"),
        Measure::new(
            BOOT_TO_PROMPT,
            "power-on to the second prompt of a sh -i that a -c script starts",
        ),
        Measure::new(RAM, "bytes of RAM not available when the script runs"),
    ];
    measures.extend(
        list.lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(name, about)| Measure::new(name, about)),
    );
    Ok(measures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_need_the_programs() {
        assert!(Measure::new("job_sh", "").needs_programs());
        assert!(!Measure::new("fork_exit", "").needs_programs());
        assert!(!Measure::new(RAM, "").in_program());
        assert_eq!(Measure::new("job_sort_3m_4c", "").cores(), 4);
    }
}
