//! Until when something may take, whatever number of seconds somebody asks for.

use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    pub const NEVER: Self = Self(None);

    /// A limit beyond what the clock can tell is none.
    pub fn after(limit: Duration) -> Self {
        Self(Instant::now().checked_add(limit))
    }

    pub fn left(self) -> Duration {
        self.0.map_or(Duration::MAX, |end| {
            end.saturating_duration_since(Instant::now())
        })
    }
}

impl From<Option<Duration>> for Deadline {
    fn from(limit: Option<Duration>) -> Self {
        limit.map_or(Self::NEVER, Self::after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_of_seconds_is_too_large() {
        let far = Deadline::after(Duration::from_secs(u64::MAX));
        assert!(far.left() > Duration::from_secs(1 << 40));
        assert_eq!(Deadline::from(None).left(), Duration::MAX);
        assert_eq!(Deadline::after(Duration::ZERO).left(), Duration::ZERO);
    }
}
