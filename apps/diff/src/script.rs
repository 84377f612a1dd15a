//! From marked lines to changes: runs of deleted and inserted lines, moved to where a reader
//! expects them.

use crate::myers;
use crate::options::Options;
use crate::text::{self, Text};
use std::ops::Range;

/// One run of deleted lines and the inserted ones in their place; either may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub first: Range<usize>,
    pub second: Range<usize>,
    /// Only blank lines, which do not count.
    pub ignored: bool,
}

pub fn script(first: &Text<'_>, second: &Text<'_>, options: &Options) -> Vec<Change> {
    let numbers = text::number(first, second, options);
    let (mut deleted, mut inserted) = myers::changes(&numbers.first, &numbers.second);
    shift(&numbers.first, &mut deleted, &inserted);
    shift(&numbers.second, &mut inserted, &deleted);
    let mut changes = collect(&deleted, &inserted);
    for change in &mut changes {
        for range in [&mut change.first, &mut change.second] {
            range.start += numbers.prefix;
            range.end += numbers.prefix;
        }
        if options.blank_lines {
            let blank = |line: &&[u8]| text::is_blank_line(line, options);
            change.ignored = first.lines[change.first.clone()].iter().all(blank)
                && second.lines[change.second.clone()].iter().all(blank);
        }
    }
    changes
}

/// Moves each run of marked lines as far down as equal lines let it, joining runs that come to touch;
/// a run that could stand beside marked lines of the other side ends up there instead.
fn shift(lines: &[u32], marks: &mut [bool], other: &[bool]) {
    let is_marked = |marks: &[bool], at: usize| marks.get(at).copied().unwrap_or(false);
    let end = lines.len();
    // `at` and `across` are the same place on both sides.
    let (mut at, mut across) = (0, 0);
    loop {
        while at < end && !marks[at] {
            while is_marked(other, across) {
                across += 1;
            }
            across += 1;
            at += 1;
        }
        if at == end {
            return;
        }
        let mut start = at;
        while is_marked(marks, at) {
            at += 1;
        }
        while is_marked(other, across) {
            across += 1;
        }
        let mut beside;
        loop {
            let length = at - start;
            // Up, to join runs before this one.
            while start > 0 && lines[start - 1] == lines[at - 1] {
                start -= 1;
                at -= 1;
                marks[start] = true;
                marks[at] = false;
                while start > 0 && marks[start - 1] {
                    start -= 1;
                }
                across -= 1;
                while is_marked(other, across) {
                    across -= 1;
                }
            }
            // Where the run would end beside marked lines of the other side.
            beside = if across > 0 && is_marked(other, across - 1) {
                at
            } else {
                end
            };
            // Down as far as it goes, to join runs after this one.
            while at < end && lines[start] == lines[at] {
                marks[start] = false;
                marks[at] = true;
                start += 1;
                at += 1;
                while is_marked(marks, at) {
                    at += 1;
                }
                across += 1;
                while is_marked(other, across) {
                    beside = at;
                    across += 1;
                }
            }
            if length == at - start {
                break;
            }
        }
        // Back to where it faces the other side's change.
        while beside < at {
            start -= 1;
            at -= 1;
            marks[start] = true;
            marks[at] = false;
            across -= 1;
            while is_marked(other, across) {
                across -= 1;
            }
        }
    }
}

fn collect(deleted: &[bool], inserted: &[bool]) -> Vec<Change> {
    let mut changes = Vec::new();
    let (mut a, mut b) = (0, 0);
    while a < deleted.len() || b < inserted.len() {
        let (start_a, start_b) = (a, b);
        while deleted.get(a) == Some(&true) {
            a += 1;
        }
        while inserted.get(b) == Some(&true) {
            b += 1;
        }
        if (a, b) == (start_a, start_b) {
            (a, b) = (a + 1, b + 1);
        } else {
            changes.push(Change {
                first: start_a..a,
                second: start_b..b,
                ignored: false,
            });
        }
    }
    changes
}

/// Groups changes whose context of `context` lines would overlap.
pub fn hunks(changes: &[Change], context: usize) -> Vec<&[Change]> {
    let mut hunks = Vec::new();
    let mut start = 0;
    for n in 1..=changes.len() {
        let apart = changes.get(n).is_none_or(|next| {
            let before = &changes[n - 1];
            let near = if next.ignored {
                context
            } else {
                2 * context + 1
            };
            next.first.start - before.first.end >= near
        });
        if apart {
            let hunk = &changes[start..n];
            // What does not count is shown only beside what does.
            if hunk.iter().any(|change| !change.ignored) {
                hunks.push(hunk);
            }
            start = n;
        }
    }
    hunks
}
