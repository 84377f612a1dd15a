//! `--against`: which measures take more instructions than they did; `--check-repeat`: which do not
//! take the same twice.

use super::results::{Figures, Results};

/// A rise of more than this is one. Two runs of the same image agree far better.
const TOLERATED: f64 = 0.02;

/// What a comparison comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Fine,
    Slower,
    /// There was no measure that both have.
    Nothing,
}

/// Prints the differences, and what could not be compared of the measures `asked` for (all, where none is named).
pub fn report(earlier: &Results, now: &Results, asked: &[String]) -> Verdict {
    let changes = changes(earlier, now);
    say!(
        "\nRustOS' instructions against {} of {}:",
        earlier.commit,
        earlier.date
    );
    for change in &changes {
        say!(
            "  {:<20} {:>14.0} -> {:>14.0}  {:+.1}%{}",
            change.name,
            change.before,
            change.after,
            change.rise() * 100.0,
            if change.is_slower() { "  SLOWER" } else { "" }
        );
    }
    for (what, names) in [
        ("only in this run", only_in(now, earlier, asked)),
        ("only in the earlier results", only_in(earlier, now, asked)),
    ] {
        if !names.is_empty() {
            say!("not compared, {what}: {}", names.join(" "));
        }
    }
    warn(earlier, now);
    if changes.is_empty() {
        say!("nothing could be compared");
        return Verdict::Nothing;
    }
    let slower = changes.iter().filter(|change| change.is_slower()).count();
    say!("{slower} of {} measures are slower", changes.len());
    if slower > 0 {
        Verdict::Slower
    } else {
        Verdict::Fine
    }
}

/// Measures asked for whose instructions only the first results have.
fn only_in<'a>(these: &'a Results, those: &Results, asked: &[String]) -> Vec<&'a str> {
    let names = these
        .measures
        .iter()
        .filter(|m| m.direct.instructions.is_some());
    names
        .map(|measured| measured.name.as_str())
        .filter(|name| asked.is_empty() || asked.iter().any(|asked| asked == name))
        .filter(|name| those.instructions(name).is_none())
        .collect()
}

/// Says where the machines differ: their figures may for that reason alone.
fn warn(earlier: &Results, now: &Results) {
    let machine =
        |results: &Results| format!("{} MiB and {} core(s)", results.memory >> 20, results.cores);
    let (before, after) = (machine(earlier), machine(now));
    if before != after {
        note!(
            "xtask: warning: the earlier results are of machines with {before}, these of {after}"
        );
    }
}

/// What two counts of the same work may differ by.
const REPEATED: f64 = 0.005;

/// Prints which measures did not repeat; whether any did not.
pub fn report_repeat(first: &Results, second: &Results) -> bool {
    let pairs: Vec<_> = first
        .measures
        .iter()
        .filter_map(|measured| Some((measured, second.find(&measured.name)?)))
        .flat_map(|(a, b)| {
            [
                (&a.name, "RustOS", &a.direct, &b.direct),
                (&a.name, "Linux", &a.linux, &b.linux),
            ]
        })
        .filter_map(|(name, guest, a, b)| Some((name, guest, count(a)?, count(b)?)))
        .collect();
    say!("");
    let mut apart = 0;
    let mut widest = 0.0f64;
    for (name, guest, a, b) in &pairs {
        let difference = (b / a.max(f64::MIN_POSITIVE) - 1.0).abs();
        widest = widest.max(difference);
        if difference > REPEATED {
            apart += 1;
            say!(
                "  {name:<20} {guest:<7} {a:>14.0} then {b:>14.0}  {:.2}%  UNSTEADY",
                difference * 100.0
            );
        }
    }
    say!(
        "counted twice: {apart} of {} figures differ by more than 0.5%; the most is {:.3}%",
        pairs.len(),
        widest * 100.0
    );
    apart > 0
}

/// Instructions, or bytes for a measure of size.
fn count(figures: &Figures) -> Option<f64> {
    figures.instructions.or(figures.bytes)
}

struct Change<'a> {
    name: &'a str,
    before: f64,
    after: f64,
}

impl Change<'_> {
    fn rise(&self) -> f64 {
        self.after / self.before.max(f64::MIN_POSITIVE) - 1.0
    }

    fn is_slower(&self) -> bool {
        self.rise() > TOLERATED
    }
}

/// Measures that both have, by instructions on RustOS.
fn changes<'a>(earlier: &Results, now: &'a Results) -> Vec<Change<'a>> {
    now.measures
        .iter()
        .filter_map(|measured| {
            Some(Change {
                name: &measured.name,
                before: earlier.instructions(&measured.name)?,
                after: measured.direct.instructions?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::collect::Clock;
    use super::*;
    use crate::cli::BenchGuest;

    fn results(figure: f64) -> Results {
        let mut results = Results::default();
        results.add("m", BenchGuest::Direct, Clock::Instructions, figure);
        results
    }

    #[test]
    fn counts_that_differ_are_unsteady() {
        assert!(!report_repeat(&results(1000.0), &results(1004.9)));
        assert!(report_repeat(&results(1000.0), &results(1005.1)));
        assert!(report_repeat(&results(1000.0), &results(994.0)));
        assert!(!report_repeat(&results(1000.0), &Results::default()));
    }

    #[test]
    fn wall_time_is_no_reason_to_be_slower() {
        let (mut quiet, mut busy) = (results(100.0), results(100.0));
        quiet.add("m", BenchGuest::Direct, Clock::Wall, 1.0);
        busy.add("m", BenchGuest::Direct, Clock::Wall, 1000.0);
        assert_eq!(report(&quiet, &busy, &[]), Verdict::Fine);
    }

    #[test]
    fn only_a_rise_above_the_limit_counts() {
        let rise = |figure| report(&results(100.0), &results(figure), &[]);
        assert_eq!(rise(101.9), Verdict::Fine);
        assert_eq!(rise(102.1), Verdict::Slower);
        assert_eq!(rise(50.0), Verdict::Fine);
    }

    #[test]
    fn nothing_compared_is_no_success() {
        let mut without = Results::default();
        without.add("m", BenchGuest::Linux, Clock::Instructions, 1.0);
        for earlier in [without, Results::default()] {
            assert_eq!(report(&earlier, &results(50.0), &[]), Verdict::Nothing);
        }
    }

    #[test]
    fn what_only_one_side_has_is_named_if_it_was_asked_for() {
        let mut more = results(1.0);
        for name in ["n", "o"] {
            more.add(name, BenchGuest::Direct, Clock::Instructions, 1.0);
        }
        assert_eq!(only_in(&more, &results(1.0), &[]), ["n", "o"]);
        assert_eq!(only_in(&more, &results(1.0), &["o".into()]), ["o"]);
        assert!(only_in(&results(1.0), &more, &[]).is_empty());
    }
}
