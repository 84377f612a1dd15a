//! Which pages of data and bss programs write anyway, so that exec can hand them out before they fault.
//!
//! Now and then an exec is a *lesson*: nothing is handed out ahead and every first write is counted. A page that more than
//! half of the lessons wrote is hot. A copy at exec costs what a copy in a fault costs, less the fault.

use crate::base::SpinLock;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU16, AtomicU32, Ordering};

/// The first execs are lessons, then every so many.
const FIRST_LESSONS: u32 = 4;
const LESSON_EVERY: u32 = 32;
/// Older lessons count for less: all counts are halved after this many.
const MEMORY: u16 = 64;
/// Pages handed out at most.
const MOST: usize = 96;

/// What was learnt of the pages of the image's data and bss, by index.
pub struct Heat {
    execs: AtomicU32,
    writes: Vec<AtomicU16>,
    /// Leaf lock.
    learnt: SpinLock<Learnt>,
}

struct Learnt {
    lessons: u16,
    hot: Vec<u16>,
}

impl Heat {
    pub fn new(pages: usize) -> Self {
        let writes = (0..pages.min(u16::MAX as usize))
            .map(|_| AtomicU16::new(0))
            .collect();
        let learnt = Learnt {
            lessons: 0,
            hot: Vec::with_capacity(MOST),
        };
        Heat {
            execs: AtomicU32::new(0),
            writes,
            learnt: SpinLock::new(learnt),
        }
    }

    /// A program starts: calls `hand_out` for each hot page and returns false, or returns true: it is a lesson.
    pub fn start(&self, hand_out: impl FnMut(usize)) -> bool {
        let n = self.execs.fetch_add(1, Ordering::Relaxed);
        let mut learnt = self.learnt.lock();
        if n >= FIRST_LESSONS && !n.is_multiple_of(LESSON_EVERY) {
            learnt
                .hot
                .iter()
                .map(|&page| page as usize)
                .for_each(hand_out);
            return false;
        }
        let half = learnt.lessons / 2;
        let hot = self
            .writes
            .iter()
            .enumerate()
            .filter(|(_, w)| w.load(Ordering::Relaxed) > half);
        learnt.hot.clear();
        learnt
            .hot
            .extend(hot.map(|(page, _)| page as u16).take(MOST));
        if learnt.lessons == MEMORY {
            learnt.lessons /= 2;
            for w in &self.writes {
                w.store(w.load(Ordering::Relaxed) / 2, Ordering::Relaxed);
            }
        }
        learnt.lessons += 1;
        true
    }

    /// The program of a lesson has written `page` for the first time.
    pub fn note(&self, page: usize) {
        if let Some(w) = self.writes.get(page) {
            w.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lesson(heat: &Heat, pages: &[usize]) {
        let mut handed_out = Vec::new();
        if heat.start(|page| handed_out.push(page)) {
            pages.iter().for_each(|&p| heat.note(p));
        }
    }

    #[test]
    fn what_most_programs_write_is_handed_out() {
        let heat = Heat::new(100);
        for i in 0..FIRST_LESSONS as usize {
            lesson(&heat, &[7, 3, 50 + i]);
        }
        let mut got = Vec::new();
        assert!(!heat.start(|page| got.push(page)));
        assert_eq!(got, [3, 7]);
    }

    #[test]
    fn habits_change() {
        let heat = Heat::new(100);
        for _ in 0..LESSON_EVERY * MEMORY as u32 {
            lesson(&heat, &[1]);
        }
        for _ in 0..LESSON_EVERY * MEMORY as u32 {
            lesson(&heat, &[2]);
        }
        let mut got = Vec::new();
        while heat.start(|page| got.push(page)) {}
        assert_eq!(got, [2]);
    }
}
