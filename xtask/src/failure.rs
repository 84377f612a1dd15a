//! Errors that xtask ends with in a way of their own.

use std::{error::Error, ffi::c_int, fmt};

use crate::out::STATUS_PIPE;

const STATUS_FAILED: u8 = 1;
pub const STATUS_USAGE: u8 = 2;

#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// Words that make no sense together; what clap can tell by itself, it does.
    Usage(String),
    /// A signal told xtask to stop.
    Interrupted(c_int),
    /// Whoever reads stdout went away.
    OutputClosed,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Usage(why) => f.write_str(why),
            Self::Interrupted(signal) => write!(f, "interrupted by signal {signal}"),
            Self::OutputClosed => f.write_str("nobody reads the output"),
        }
    }
}

impl Error for Failure {}

/// A usage error.
pub fn usage(why: impl Into<String>) -> anyhow::Error {
    Failure::Usage(why.into()).into()
}

/// An error about a file that was named: whoever named it has to name another.
pub fn misnamed(error: &anyhow::Error) -> anyhow::Error {
    usage(format!("{error:#}"))
}

/// Whether xtask was told to stop, so that nothing may go on after this error.
pub fn is_interruption(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(Failure::Interrupted(_)))
}

/// Says what went wrong, where the caller cannot know; returns xtask's status.
pub fn conclude(error: &anyhow::Error) -> u8 {
    match error.downcast_ref() {
        Some(Failure::Interrupted(signal)) => (128 + signal) as u8,
        Some(Failure::OutputClosed) => STATUS_PIPE,
        Some(Failure::Usage(_)) => {
            note!("xtask: {error:#}");
            STATUS_USAGE
        }
        None => {
            note!("xtask: {error:#}");
            STATUS_FAILED
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};

    #[test]
    fn the_status_tells_what_happened_whatever_was_said_about_it() {
        let interrupted = || Err::<(), _>(Failure::Interrupted(2));
        let error = interrupted().context("a boot").unwrap_err();
        assert!(is_interruption(&error));
        assert_eq!(conclude(&error), 130);
        assert_eq!(conclude(&usage("no")), 2);
        assert_eq!(conclude(&Failure::OutputClosed.into()), 141);
        assert_eq!(conclude(&anyhow!("other")), 1);
        assert!(!is_interruption(&anyhow!("other")));
    }
}
