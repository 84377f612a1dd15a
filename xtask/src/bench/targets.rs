//! What RustOS set out to reach, beyond taking no more instructions than Linux.

use super::{
    results::{Measured, Results},
    table,
};

/// A goal and what has been reached of it.
pub struct Target {
    pub about: String,
    pub reached: f64,
    pub goal: Goal,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// Instructions or bytes.
    AtMost(f64),
    /// How many times more Linux takes.
    AtLeast(f64),
}

impl Target {
    pub fn is_missed(&self) -> bool {
        match self.goal {
            Goal::AtMost(most) => self.reached > most,
            Goal::AtLeast(least) => self.reached < least,
        }
    }

    pub fn line(&self) -> String {
        match self.goal {
            Goal::AtMost(most) => format!(
                "{}: {}, to be at most {}",
                self.about,
                table::figure(self.reached),
                table::figure(most)
            ),
            Goal::AtLeast(least) => format!(
                "{}: {:.2}x, to be at least {least:.1}x",
                self.about, self.reached
            ),
        }
    }
}

/// Instructions for one turn of the shell's loop in the `job_*_200` measures.
fn turn(results: &Results) -> Option<f64> {
    Some(instructions(results, "job_loop_10000")? / 10_000.0)
}

fn instructions(results: &Results, name: &str) -> Option<f64> {
    results.find(name)?.direct.instructions
}

/// One of 200 repetitions, without the loop around it.
fn each_of_200(results: &Results, name: &str) -> Option<f64> {
    Some(instructions(results, name)? / 200.0 - turn(results)?)
}

/// All goals for which there are figures.
pub fn all(results: &Results) -> Vec<Target> {
    let size = |name: &str| {
        let size = results.sizes.iter().find(|size| size.name == name)?;
        Some(size.bytes as f64)
    };
    let bytes = |name: &str| results.find(name)?.direct.bytes;
    let most = [
        (
            "boot to the first line of a script",
            instructions(results, "boot_to_first_line"),
            8e6,
        ),
        (
            "spawning and reaping `true` from the shell",
            each_of_200(results, "job_spawn_200"),
            190e3,
        ),
        (
            "a forked subshell",
            each_of_200(results, "job_subshell_200"),
            45e3,
        ),
        (
            "a small file created from the shell",
            each_of_200(results, "job_create_200"),
            10e3,
        ),
        ("dd | wc", instructions(results, "job_dd_wc"), 110e6),
        ("bytes of the image", size("image"), 24e6),
        ("bytes of RAM for a thread", bytes("ram_thread"), 32768.0),
    ];
    let least = [
        ("futex_to_run", 2.0),
        ("thread", 2.0),
        ("ctx_2p_0k", 2.0),
        ("sig_deliver", 2.0),
        ("epoll_1000", 2.0),
    ];
    let most = most.into_iter().filter_map(|(about, reached, most)| {
        Some(Target {
            about: about.into(),
            reached: reached?,
            goal: Goal::AtMost(most),
        })
    });
    let least = least.into_iter().filter_map(|(name, least)| {
        let measured = results.find(name)?;
        Some(Target {
            about: format!("`{name}` ({})", measured.about),
            reached: Measured::instruction_ratio(measured)?,
            goal: Goal::AtLeast(least),
        })
    });
    let median = table::median_ratio(results).map(|median| Target {
        about: "the median of all ratios".into(),
        reached: median,
        goal: Goal::AtLeast(4.0),
    });
    most.chain(least).chain(median).collect()
}

#[cfg(test)]
mod tests {
    use super::super::collect::Clock;
    use super::*;
    use crate::cli::BenchGuest;

    #[test]
    fn what_a_shell_does_is_counted_without_its_loop() {
        let mut results = Results::default();
        results.add(
            "job_loop_10000",
            BenchGuest::Direct,
            Clock::Instructions,
            400e6,
        );
        results.add(
            "job_spawn_200",
            BenchGuest::Direct,
            Clock::Instructions,
            200.0 * 240e3,
        );
        let target = all(&results).remove(0);
        assert_eq!(target.reached, 200e3);
        assert!(target.is_missed());
        assert!(target.line().ends_with("200.0 k, to be at most 190.0 k"));
    }

    #[test]
    fn a_ratio_is_missed_from_below() {
        let mut results = Results::default();
        for (guest, figure) in [(BenchGuest::Direct, 10.0), (BenchGuest::Linux, 19.0)] {
            results.add("thread", guest, Clock::Instructions, figure);
        }
        let missed: Vec<_> = all(&results)
            .into_iter()
            .filter(Target::is_missed)
            .map(|target| target.line())
            .collect();
        assert_eq!(
            missed,
            [
                "`thread` (): 1.90x, to be at least 2.0x",
                "the median of all ratios: 1.90x, to be at least 4.0x"
            ]
        );
    }
}
