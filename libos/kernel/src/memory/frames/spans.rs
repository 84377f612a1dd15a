//! Small sorted sets of address ranges, for what boot knows about memory before there is a heap.

/// The highest page-aligned place for `bytes` in RAM outside `taken`.
pub fn find_room<const N: usize, const M: usize>(
    ram: &Spans<N>,
    taken: &Spans<M>,
    bytes: usize,
) -> Option<usize> {
    let mut best = None;
    for &(start, end) in ram.iter() {
        let mut top = end;
        while let Some(at) = top.checked_sub(bytes).filter(|&at| at >= start) {
            match taken.iter().find(|&&(s, e)| s < top && e > at) {
                Some(&(s, _)) => top = s,
                None => {
                    best = best.max(Some(at));
                    break;
                }
            }
        }
    }
    best
}

/// A small sorted set of address ranges; overlapping ones are joined.
pub struct Spans<const N: usize> {
    spans: [(usize, usize); N],
    count: usize,
}

impl<const N: usize> Spans<N> {
    pub fn new() -> Self {
        Spans {
            spans: [(0, 0); N],
            count: 0,
        }
    }

    pub fn as_slice(&self) -> &[(usize, usize)] {
        &self.spans[..self.count]
    }

    pub fn iter(&self) -> core::slice::Iter<'_, (usize, usize)> {
        self.as_slice().iter()
    }

    pub fn add(&mut self, mut start: usize, mut end: usize) {
        if start >= end {
            return;
        }
        // Swallow everything that touches the new range.
        let mut kept = 0;
        for i in 0..self.count {
            let (s, e) = self.spans[i];
            if s <= end && start <= e {
                (start, end) = (start.min(s), end.max(e));
            } else {
                self.spans[kept] = (s, e);
                kept += 1;
            }
        }
        self.count = kept;
        assert!(self.count < N, "more than {N} memory ranges");
        let at = self
            .iter()
            .position(|&(s, _)| s > start)
            .unwrap_or(self.count);
        self.spans.copy_within(at..self.count, at + 1);
        self.spans[at] = (start, end);
        self.count += 1;
    }
}
