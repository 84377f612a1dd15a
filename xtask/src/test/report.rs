//! Counts tests, prints each as it ends, and repeats what failed or was skipped at the end.

use crate::failure;

#[derive(Default)]
pub struct Report {
    passed: usize,
    skipped: Vec<(String, String)>,
    failures: Vec<(String, String)>,
}

impl Report {
    pub fn passed(&mut self, suite: &str, name: &str) {
        say!("test {suite}::{name} ... ok");
        self.passed += 1;
    }

    /// `why` is shown below the tests, in as many lines as it takes.
    pub fn failed(&mut self, suite: &str, name: &str, why: &str) {
        say!("test {suite}::{name} ... FAILED");
        self.failures
            .push((format!("{suite}::{name}"), why.trim_end().to_owned()));
    }

    /// What could not be tested here counts neither way, and is named at the end.
    pub fn skipped(&mut self, suite: &str, name: &str, why: &str) {
        say!("test {suite}::{name} ... skipped");
        self.skipped
            .push((format!("{suite}::{name}"), why.trim_end().to_owned()));
    }

    pub fn record(&mut self, suite: &str, name: &str, result: Result<(), String>) {
        match result {
            Ok(()) => self.passed(suite, name),
            Err(why) => self.failed(suite, name, &why),
        }
    }

    /// As `record`, for a result that may also be that xtask was told to stop: that is no test's fault.
    pub fn settle(
        &mut self,
        suite: &str,
        name: &str,
        result: anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        if let Err(error) = &result
            && failure::is_interruption(error)
        {
            return result;
        }
        self.record(suite, name, result.map_err(|error| format!("{error:#}")));
        Ok(())
    }

    #[cfg(test)]
    pub fn failed_tests(&self) -> Vec<&str> {
        self.failures.iter().map(|(name, _)| &**name).collect()
    }

    /// Runs the tests of a suite. One that cannot go on is a failure of that suite alone; an error is that xtask was told to stop.
    pub fn attempt(
        &mut self,
        suite: &str,
        run: impl FnOnce(&mut Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let ended = run(self);
        if ended.is_ok() {
            return Ok(());
        }
        self.settle(suite, "ran to its end", ended)
    }

    /// Prints the failures and the count; returns xtask's status.
    pub fn conclude(&self) -> u8 {
        for (name, why) in &self.failures {
            say!("\n---- {name} ----");
            if !why.is_empty() {
                say!("{why}");
            }
        }
        if !self.failures.is_empty() {
            say!("\nfailed:");
            for (name, _) in &self.failures {
                say!("    {name}");
            }
        }
        if !self.skipped.is_empty() {
            say!("\nskipped:");
            for (name, why) in &self.skipped {
                say!("    {name}: {why}");
            }
        }
        say!("\n{} passed, {} failed", self.passed, self.failures.len());
        u8::from(!self.failures.is_empty() || self.passed == 0)
    }
}

/// Reads lines of the form `test NAME ... ok`, which cargo's harness, ktest and others print.
pub fn parse_line(line: &str) -> Option<(&str, Verdict)> {
    let (name, verdict) = line.trim_end().strip_prefix("test ")?.split_once(" ... ")?;
    let verdict = match verdict.split_whitespace().next()? {
        "ok" => Verdict::Passed,
        "FAILED" => Verdict::Failed,
        word if word.starts_with("ignored") => Verdict::Ignored,
        _ => return None,
    };
    Some((name, verdict))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Passed,
    Failed,
    Ignored,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_harness_are_read() {
        assert_eq!(
            parse_line("test a::b ... ok"),
            Some(("a::b", Verdict::Passed))
        );
        assert_eq!(
            parse_line("test a ... FAILED\r\n"),
            Some(("a", Verdict::Failed))
        );
        assert_eq!(
            parse_line("test a ... ignored, slow"),
            Some(("a", Verdict::Ignored))
        );
        assert_eq!(
            parse_line("test a - should panic ... ok (1.2s)").unwrap().1,
            Verdict::Passed
        );
        assert_eq!(parse_line("testing ... ok"), None);
        assert_eq!(parse_line("test result: ok. 3 passed"), None);
    }

    #[test]
    fn no_test_at_all_is_no_success() {
        let mut report = Report::default();
        report.skipped("s", "v", "no way here");
        assert_eq!(report.conclude(), 1);
        let mut report = Report::default();
        report.passed("s", "t");
        assert_eq!(report.conclude(), 0);
        report.skipped("s", "v", "no way here");
        assert_eq!(report.conclude(), 0);
        report.failed("s", "u", "");
        assert_eq!(report.conclude(), 1);
    }
}
