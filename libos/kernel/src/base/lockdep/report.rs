//! What is said when a rule of locking is broken. Each report is a panic, so the calls that led to it follow.

use super::graph::Path;
use super::held::Entry;
use super::{GRAPH, REPORTED, made_at};
use crate::symbols::Symbol;
use core::fmt;
use core::panic::Location;
use core::sync::atomic::Ordering;

/// A class by the place where its locks are made.
pub struct Name(pub u16);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match made_at(self.0) {
            Some(place) if place == super::PROGRAM_MEMORY.made => f.write_str("program memory"),
            Some(place) => write!(
                f,
                "the lock made at {}:{}",
                short(place.file()),
                place.line()
            ),
            None => f.write_str("a lock of unknown make"),
        }
    }
}

/// A path from the folder `src` on.
fn short(file: &str) -> &str {
    file.rfind("src/").map_or(file, |at| &file[at..])
}

struct Place(&'static Location<'static>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", short(self.0.file()), self.0.line())
    }
}

/// The known pairs along a path, each with the calls that made it known.
struct Known<'a>(&'a Path);

impl fmt::Display for Known<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for pair in self.0.classes().windows(2) {
            write!(f, "\n  known: {}, then {}", Name(pair[0]), Name(pair[1]))?;
            let Some(origin) = GRAPH.origin(pair[0], pair[1]) else {
                continue;
            };
            let (outer, inner) = (Place(origin.outer_taken), Place(origin.inner_taken));
            write!(f, ", taken at {outer} and {inner}, by")?;
            for call in origin.calls.into_iter().take_while(|&c| c != 0) {
                write!(f, "\n    {}", Symbol(call))?;
            }
        }
        Ok(())
    }
}

/// Whether this is the first report; there is no second.
fn first() -> bool {
    !REPORTED.swap(true, Ordering::Relaxed)
}

#[cold]
pub fn circle(outer: Entry, inner: u16, taken: &'static Location<'static>, path: &Path) {
    if first() {
        panic!(
            "lock order: {} is taken at {} while {} is held, taken at {}, but the other order is known{}",
            Name(inner),
            Place(taken),
            Name(outer.class),
            Place(outer.taken),
            Known(path)
        );
    }
}

#[cold]
pub fn recursion(held: Entry, taken: &'static Location<'static>) {
    if first() {
        panic!(
            "lock recursion: {} is taken at {} by the core that has held it since {}",
            Name(held.class),
            Place(taken),
            Place(held.taken)
        );
    }
}

#[cold]
pub fn same_class(held: Entry, taken: &'static Location<'static>) {
    if first() {
        panic!(
            "lock order: two of one class: {} is taken at {} while another one is held, taken at {}",
            Name(held.class),
            Place(taken),
            Place(held.taken)
        );
    }
}

#[cold]
pub fn sleeps(held: Entry, place: &'static Location<'static>) {
    if first() {
        panic!(
            "may sleep at {} while {} is held, taken at {}",
            Place(place),
            Name(held.class),
            Place(held.taken)
        );
    }
}
