//! Myers's linear-space difference algorithm ("An O(ND) Difference Algorithm and Its Variations",
//! Algorithmica 1, 1986, section 4b): which lines of either side have no partner.
//!
//! Between equally short answers it chooses as GNU diff does: forward paths are tried before
//! backward ones, high diagonals before low ones, and a tie goes to the deletion.

/// Beyond this many steps from both ends a split that is merely good is taken, so that large files
/// with little in common stay quick.
const PATIENCE: isize = 4096;

/// Marks, for both sides, the lines that are deleted or inserted.
pub fn changes(first: &[u32], second: &[u32]) -> (Vec<bool>, Vec<bool>) {
    let mut marks = (vec![false; first.len()], vec![false; second.len()]);
    // Lines that the other side does not have at all need no search.
    let (a, a_at) = with_partner(first, second, &mut marks.0);
    let (b, b_at) = with_partner(second, first, &mut marks.1);
    let diagonals = a.len() + b.len() + 3;
    let mut search = Search {
        a: &a,
        b: &b,
        forward: vec![0; diagonals],
        backward: vec![0; diagonals],
        origin: b.len() as isize + 1,
        patience: PATIENCE.max((diagonals as f64).sqrt() as isize),
        deleted: Vec::new(),
        inserted: Vec::new(),
    };
    search.compare(0, a.len() as isize, 0, b.len() as isize);
    search.deleted.iter().for_each(|&n| marks.0[a_at[n]] = true);
    search
        .inserted
        .iter()
        .for_each(|&n| marks.1[b_at[n]] = true);
    marks
}

/// The lines that occur on the other side, and where they are; the others are marked.
fn with_partner(own: &[u32], other: &[u32], marks: &mut [bool]) -> (Vec<u32>, Vec<usize>) {
    let top = own.iter().chain(other).max().map_or(0, |n| *n as usize + 1);
    let mut there = vec![false; top];
    other.iter().for_each(|&n| there[n as usize] = true);
    let mut kept = (Vec::new(), Vec::new());
    for (at, &line) in own.iter().enumerate() {
        if there[line as usize] {
            kept.0.push(line);
            kept.1.push(at);
        } else {
            marks[at] = true;
        }
    }
    kept
}

struct Search<'a> {
    a: &'a [u32],
    b: &'a [u32],
    /// By diagonal x - y: how far in `a` the paths from either end have come.
    forward: Vec<isize>,
    backward: Vec<isize>,
    /// Index of diagonal 0 in both.
    origin: isize,
    patience: isize,
    deleted: Vec<usize>,
    inserted: Vec<usize>,
}

impl Search<'_> {
    fn matches(&self, x: isize, y: isize) -> bool {
        self.a[x as usize] == self.b[y as usize]
    }

    /// Finds the changes between `a[x0..x1]` and `b[y0..y1]`.
    fn compare(&mut self, mut x0: isize, mut x1: isize, mut y0: isize, mut y1: isize) {
        loop {
            while x0 < x1 && y0 < y1 && self.matches(x0, y0) {
                (x0, y0) = (x0 + 1, y0 + 1);
            }
            while x0 < x1 && y0 < y1 && self.matches(x1 - 1, y1 - 1) {
                (x1, y1) = (x1 - 1, y1 - 1);
            }
            if x0 == x1 {
                self.inserted.extend(y0 as usize..y1 as usize);
                return;
            }
            if y0 == y1 {
                self.deleted.extend(x0 as usize..x1 as usize);
                return;
            }
            let (x, y) = self.split(x0, x1, y0, y1);
            self.compare(x0, x, y0, y);
            (x0, y0) = (x, y);
        }
    }

    /// A point on a shortest path, found where paths from both ends meet.
    fn split(&mut self, x0: isize, x1: isize, y0: isize, y1: isize) -> (isize, isize) {
        let (low, high) = (x0 - y1, x1 - y0);
        let (start, end) = (x0 - y0, x1 - y1);
        let odd = (start - end) & 1 != 0;
        let o = self.origin;
        let (mut f_low, mut f_high) = (start, start);
        let (mut b_low, mut b_high) = (end, end);
        self.forward[(o + start) as usize] = x0;
        self.backward[(o + end) as usize] = x1;
        let mut cost = 0;
        loop {
            cost += 1;
            // One step more from the start. Beyond the edges lies nothing.
            if f_low > low {
                f_low -= 1;
                self.forward[(o + f_low - 1) as usize] = -1;
            } else {
                f_low += 1;
            }
            if f_high < high {
                f_high += 1;
                self.forward[(o + f_high + 1) as usize] = -1;
            } else {
                f_high -= 1;
            }
            let mut d = f_high;
            while d >= f_low {
                let below = self.forward[(o + d - 1) as usize];
                let above = self.forward[(o + d + 1) as usize];
                let mut x = if below < above { above } else { below + 1 };
                let mut y = x - d;
                while x < x1 && y < y1 && self.matches(x, y) {
                    (x, y) = (x + 1, y + 1);
                }
                self.forward[(o + d) as usize] = x;
                let met = odd && (b_low..=b_high).contains(&d);
                if met && self.backward[(o + d) as usize] <= x {
                    return (x, y);
                }
                d -= 2;
            }
            // And one from the end.
            if b_low > low {
                b_low -= 1;
                self.backward[(o + b_low - 1) as usize] = isize::MAX;
            } else {
                b_low += 1;
            }
            if b_high < high {
                b_high += 1;
                self.backward[(o + b_high + 1) as usize] = isize::MAX;
            } else {
                b_high -= 1;
            }
            let mut d = b_high;
            while d >= b_low {
                let below = self.backward[(o + d - 1) as usize];
                let above = self.backward[(o + d + 1) as usize];
                let mut x = if below < above { below } else { above - 1 };
                let mut y = x - d;
                while x > x0 && y > y0 && self.matches(x - 1, y - 1) {
                    (x, y) = (x - 1, y - 1);
                }
                self.backward[(o + d) as usize] = x;
                let met = !odd && (f_low..=f_high).contains(&d);
                if met && x <= self.forward[(o + d) as usize] {
                    return (x, y);
                }
                d -= 2;
            }
            if cost >= self.patience {
                return self.good_enough((x0, x1, y0, y1), (f_low, f_high), (b_low, b_high));
            }
        }
    }

    /// The point that has come furthest from its own end.
    fn good_enough(
        &self,
        (x0, x1, y0, y1): (isize, isize, isize, isize),
        f: (isize, isize),
        b: (isize, isize),
    ) -> (isize, isize) {
        let o = self.origin;
        let forward = (f.0..=f.1).rev().step_by(2).map(|d| {
            let x = self.forward[(o + d) as usize].min(x1);
            let y = x - d;
            if y > y1 { (y1 + d, y1) } else { (x, y) }
        });
        let backward = (b.0..=b.1).rev().step_by(2).map(|d| {
            let x = self.backward[(o + d) as usize].max(x0);
            let y = x - d;
            if y < y0 { (y0 + d, y0) } else { (x, y) }
        });
        let furthest = forward.max_by_key(|(x, y)| x + y).unwrap_or((x0, y0));
        let nearest = backward.min_by_key(|(x, y)| x + y).unwrap_or((x1, y1));
        if (x1 + y1) - (nearest.0 + nearest.1) < (furthest.0 + furthest.1) - (x0 + y0) {
            furthest
        } else {
            nearest
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(first: &str, second: &str) -> (String, String) {
        let numbers = |text: &str| text.bytes().map(u32::from).collect::<Vec<_>>();
        let (deleted, inserted) = changes(&numbers(first), &numbers(second));
        let show = |marks: Vec<bool>| marks.iter().map(|m| if *m { 'x' } else { '.' }).collect();
        (show(deleted), show(inserted))
    }

    #[test]
    fn nothing_changes_between_equals() {
        assert_eq!(marked("abc", "abc"), ("...".into(), "...".into()));
        assert_eq!(marked("", ""), ("".into(), "".into()));
    }

    #[test]
    fn one_side_empty_is_all_change() {
        assert_eq!(marked("abc", ""), ("xxx".into(), "".into()));
        assert_eq!(marked("", "ab"), ("".into(), "xx".into()));
    }

    #[test]
    fn the_papers_example_takes_five_changes() {
        let (deleted, inserted) = marked("abcabba", "cbabac");
        let count = |s: &str| s.matches('x').count();
        assert_eq!(count(&deleted) + count(&inserted), 5);
    }

    #[test]
    fn what_remains_is_common() {
        let (first, second) = ("xaxbxcdxefgxhxx", "abxxxcxedfgghx");
        let (deleted, inserted) = marked(first, second);
        let rest = |text: &str, marks: &str| {
            let kept = text.chars().zip(marks.chars()).filter(|(_, m)| *m == '.');
            kept.map(|(c, _)| c).collect::<String>()
        };
        assert_eq!(rest(first, &deleted), rest(second, &inserted));
    }
}
