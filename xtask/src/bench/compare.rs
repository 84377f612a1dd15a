//! `--against`: which measures take more instructions than they did; `--check-repeat`: which do not
//! take the same twice.

use super::results::{Figures, Results};

/// A rise of more than this is one. Two runs of the same image agree far better.
const TOLERATED: f64 = 0.02;

/// Prints the differences; whether anything rose too much.
pub fn report(earlier: &Results, now: &Results) -> bool {
    let changes = changes(earlier, now);
    say!("\nagainst {} of {}:", earlier.commit, earlier.date);
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
    let slower = changes.iter().filter(|change| change.is_slower()).count();
    say!("{slower} of {} measures are slower", changes.len());
    slower > 0
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
                before: earlier.find(&measured.name)?.direct.instructions?,
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
        assert!(!report(&quiet, &busy));
    }

    #[test]
    fn only_a_rise_above_the_limit_counts() {
        assert!(!report(&results(100.0), &results(101.9)));
        assert!(report(&results(100.0), &results(102.1)));
        assert!(!report(&results(100.0), &results(50.0)));
        assert!(!report(&Results::default(), &results(50.0)));
    }
}
