//! The threads that wait for a core, whoever has had least of it first.
//!
//! A list through the threads themselves: to wait for a core never wants memory, however many do.

use super::Thread;
use alloc::sync::Arc;
use core::ptr::null;
use core::sync::atomic::Ordering;

/// A thread's neighbours on the list, null at its ends. They belong to the list.
pub struct Links {
    previous: *const Thread,
    next: *const Thread,
}

impl Links {
    #[expect(clippy::new_without_default, reason = "made with a thread only")]
    pub const fn new() -> Links {
        Links {
            previous: null(),
            next: null(),
        }
    }
}

/// The list. It has a reference to each thread on it, and nothing changes the run time of those.
pub struct RunQueue {
    first: *const Thread,
    last: *const Thread,
    len: usize,
}

// SAFETY: the pointers are references that the list owns, to threads, which may be shared.
unsafe impl Send for RunQueue {}

fn vruntime(thread: &Thread) -> u64 {
    thread.sched.vruntime.load(Ordering::Relaxed)
}

impl RunQueue {
    #[expect(clippy::new_without_default, reason = "made with a core only")]
    pub const fn new() -> RunQueue {
        RunQueue {
            first: null(),
            last: null(),
            len: 0,
        }
    }

    #[expect(
        clippy::len_without_is_empty,
        reason = "who wants to know asks for the first"
    )]
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn first(&self) -> Option<&Thread> {
        // SAFETY: what is on the list is alive as long as it is.
        unsafe { self.first.as_ref() }
    }

    pub fn last(&self) -> Option<&Thread> {
        // SAFETY: as above.
        unsafe { self.last.as_ref() }
    }

    /// The links of a thread that is on this list, or about to be.
    fn links(thread: &Thread) -> *mut Links {
        thread.links.get()
    }

    /// The threads, from the first on.
    pub fn iter(&self) -> impl Iterator<Item = &Thread> {
        // SAFETY: the links of what is on the list change only through `&mut self`.
        core::iter::successors(self.first(), |t| unsafe { (*Self::links(t)).next.as_ref() })
    }

    /// The threads, from the last on.
    pub fn iter_back(&self) -> impl Iterator<Item = &Thread> {
        // SAFETY: as above.
        core::iter::successors(self.last(), |t| unsafe {
            (*Self::links(t)).previous.as_ref()
        })
    }

    /// Puts a thread, which is on no list, behind those that have had no more than it.
    pub fn insert(&mut self, thread: Arc<Thread>) {
        let v = vruntime(&thread);
        // A thread that has just run belongs near the end; of a crowd that has slept, each belongs behind the crowd. So it is looked for
        // from both ends at once.
        let (mut front, mut back) = (self.first, self.last);
        let previous = loop {
            // SAFETY: what is on the list is alive, and so are its neighbours.
            unsafe {
                if back.is_null() || vruntime(&*back) <= v {
                    break back;
                }
                let links = &*Self::links(&*front);
                if vruntime(&*front) > v {
                    break links.previous;
                }
                (front, back) = (links.next, (*Self::links(&*back)).previous);
            }
        };
        let new = Arc::into_raw(thread);
        // SAFETY: `new` is alive and on no list; `previous` is on this one, or null for its front.
        unsafe {
            let next = match previous.as_ref() {
                Some(previous) => core::mem::replace(&mut (*Self::links(previous)).next, new),
                None => core::mem::replace(&mut self.first, new),
            };
            match next.as_ref() {
                Some(next) => (*Self::links(next)).previous = new,
                None => self.last = new,
            }
            *Self::links(&*new) = Links { previous, next };
        }
        self.len += 1;
    }

    /// Takes the first thread that `accepts` agrees to, looking from the front or from the back.
    pub fn take(
        &mut self,
        from_back: bool,
        accepts: impl Fn(&Thread) -> bool,
    ) -> Option<Arc<Thread>> {
        let found = match from_back {
            false => self.iter().find(|t| accepts(t)),
            true => self.iter_back().find(|t| accepts(t)),
        };
        let found = core::ptr::from_ref(found?);
        // SAFETY: it is on the list.
        Some(unsafe { self.remove(found) })
    }

    /// Takes a thread off the list.
    ///
    /// # Safety
    /// It is on this one.
    pub unsafe fn remove(&mut self, thread: *const Thread) -> Arc<Thread> {
        // SAFETY: it and its neighbours are on the list, which gives up the reference that `insert` was given.
        unsafe {
            let Links { previous, next } =
                core::mem::replace(&mut *Self::links(&*thread), Links::new());
            match previous.as_ref() {
                Some(previous) => (*Self::links(previous)).next = next,
                None => self.first = next,
            }
            match next.as_ref() {
                Some(next) => (*Self::links(next)).previous = previous,
                None => self.last = previous,
            }
            self.len -= 1;
            Arc::from_raw(thread)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread(tid: i32, v: u64) -> Arc<Thread> {
        let thread = Thread::new(tid, None, None);
        thread.sched.vruntime.store(v, Ordering::Relaxed);
        Arc::new(thread)
    }

    fn order(queue: &RunQueue) -> Vec<i32> {
        let order: Vec<i32> = queue.iter().map(Thread::tid).collect();
        let mut back: Vec<i32> = queue.iter_back().map(Thread::tid).collect();
        back.reverse();
        assert_eq!(order, back);
        assert_eq!(order.len(), queue.len());
        order
    }

    #[test]
    fn who_has_had_least_goes_first_and_equals_in_turn() {
        let mut queue = RunQueue::new();
        for (tid, v) in [(1, 50), (2, 10), (3, 50), (4, 90), (5, 10), (6, 0), (7, 60)] {
            queue.insert(thread(tid, v));
        }
        assert_eq!(order(&queue), [6, 2, 5, 1, 3, 7, 4]);
        let even = |t: &Thread| t.tid() % 2 == 0;
        assert_eq!(queue.take(false, |_| true).map(|t| t.tid()), Some(6));
        assert_eq!(queue.take(false, even).map(|t| t.tid()), Some(2));
        assert_eq!(queue.take(true, |t| !even(t)).map(|t| t.tid()), Some(7));
        assert_eq!(order(&queue), [5, 1, 3, 4]);
        assert_eq!(queue.take(true, |_| true).map(|t| t.tid()), Some(4));
        assert!(queue.take(false, even).is_none());
        queue.insert(thread(8, 50));
        assert_eq!(order(&queue), [5, 1, 3, 8]);
        while queue.take(false, |_| true).is_some() {}
        assert_eq!(order(&queue), []);
    }

    #[test]
    fn the_list_has_one_reference_to_each() {
        let (mut queue, t) = (RunQueue::new(), thread(1, 5));
        queue.insert(t.clone());
        assert_eq!(Arc::strong_count(&t), 2);
        // SAFETY: it is on the list.
        drop(unsafe { queue.remove(Arc::as_ptr(&t)) });
        assert_eq!(Arc::strong_count(&t), 1);
    }
}
