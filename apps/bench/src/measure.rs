//! A measure: a name, what one repetition is, and how to repeat it.

use std::time::Instant;

/// One thing whose cost is measured.
#[derive(Debug)]
pub struct Measure {
    pub name: &'static str,
    pub about: &'static str,
    /// Seconds after which it counts as hung.
    pub limit: u32,
    pub run: fn() -> Result<Sample, String>,
}

/// What a measure found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Repetitions in one round.
    pub repetitions: u64,
    /// Nanoseconds of each whole round.
    pub rounds: Vec<u64>,
}

/// Rounds of one measure. The median of three is not moved by one disturbance.
const ROUNDS: usize = 3;

impl Measure {
    /// Whether its figures are bytes of RAM rather than nanoseconds.
    pub fn in_bytes(&self) -> bool {
        self.name.starts_with("ram_")
    }
}

impl Sample {
    /// Thousandths of a nanosecond for one repetition, by the median round.
    pub fn millis_each(&self) -> u64 {
        let mut rounds = self.rounds.clone();
        rounds.sort_unstable();
        let median = rounds.get(rounds.len() / 2).copied().unwrap_or(0);
        (u128::from(median) * 1000 / u128::from(self.repetitions.max(1))) as u64
    }
}

/// Times `repetitions` of `work` in several rounds, after a shorter one that warms up.
pub fn repeat(
    repetitions: u64,
    mut work: impl FnMut() -> Result<(), String>,
) -> Result<Sample, String> {
    let mut rounds = Vec::with_capacity(ROUNDS);
    // One loop for both kinds of round: `work` is called from one place, and so becomes part of the loop.
    for round in 0..=ROUNDS {
        let is_warm_up = round == 0;
        let count = if is_warm_up {
            repetitions.div_ceil(10)
        } else {
            repetitions
        };
        let start = Instant::now();
        for _ in 0..count {
            work()?;
        }
        if !is_warm_up {
            rounds.push(nanoseconds(start));
        }
    }
    Ok(Sample {
        repetitions,
        rounds,
    })
}

/// As `repeat`, for work that times itself because part of it does not count.
pub fn repeat_timed(
    repetitions: u64,
    mut round: impl FnMut() -> Result<u64, String>,
) -> Result<Sample, String> {
    let mut rounds = Vec::with_capacity(ROUNDS);
    round()?;
    for _ in 0..ROUNDS {
        rounds.push(round()?);
    }
    Ok(Sample {
        repetitions,
        rounds,
    })
}

pub fn nanoseconds(since: Instant) -> u64 {
    since.elapsed().as_nanos() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_round_counts() {
        let sample = Sample {
            repetitions: 10,
            rounds: vec![900, 100, 125],
        };
        assert_eq!(sample.millis_each(), 12_500);
    }

    #[test]
    fn work_that_fails_ends_the_measure() {
        assert_eq!(repeat(5, || Err("no".into())), Err("no".into()));
    }
}
