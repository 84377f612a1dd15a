use super::*;
use crate::fs::types::OpenFlags;
use crate::process::wait::Wake;
use core::sync::atomic::AtomicBool;
use linux_raw_sys::general::{EPOLLET, EPOLLONESHOT};

/// A file that is ready when told to be.
#[derive(Default)]
struct Switch {
    on: AtomicBool,
    asked: core::sync::atomic::AtomicUsize,
    queue: Arc<WaitQueue>,
}

impl FileOps for Switch {
    fn poll(&self, _file: &File, table: Option<&mut PollTable>) -> PollEvents {
        if let Some(table) = table {
            table.register(&self.queue);
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.on.load(Ordering::Relaxed) {
            PollEvents::IN
        } else {
            PollEvents::empty()
        }
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Switch {
    fn set(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
        if on {
            self.queue.wake_all();
        }
    }
}

fn switch() -> (Arc<Switch>, Arc<File>) {
    let switch = Arc::new(Switch::default());
    (switch.clone(), File::anonymous(switch, OpenFlags::RDWR))
}

fn epoll() -> (Arc<Epoll>, Arc<File>) {
    let epoll = Arc::new(Epoll::default());
    (
        epoll.clone(),
        File::anonymous(Arc::new(EpollFile(epoll)), OpenFlags::RDWR),
    )
}

fn interest(events: u32, data: u64) -> Interest {
    Interest {
        events: events | PollEvents::IN.bits(),
        data,
    }
}

fn collected(epoll: &Epoll) -> Vec<u64> {
    let mut out = Vec::new();
    let taken = epoll.collect(64, |event| {
        out.push(event.data);
        Ok(())
    });
    assert_eq!(taken, Ok(out.len()));
    out
}

#[test]
fn a_level_is_reported_as_long_as_it_lasts() {
    let ((s, file), (ep, _f)) = (switch(), epoll());
    ep.add(3, &file, interest(0, 7)).unwrap();
    assert_eq!(collected(&ep), []);
    s.set(true);
    assert_eq!(collected(&ep), [7]);
    assert_eq!(collected(&ep), [7]);
    s.set(false);
    assert_eq!(collected(&ep), []);
}

#[test]
fn an_edge_is_reported_once() {
    let ((s, file), (ep, _f)) = (switch(), epoll());
    s.set(true);
    ep.add(3, &file, interest(EPOLLET, 7)).unwrap();
    assert_eq!(collected(&ep), [7]);
    assert_eq!(collected(&ep), []);
    s.set(true);
    assert_eq!(collected(&ep), [7]);
}

#[test]
fn a_one_shot_is_silent_until_armed_again() {
    let ((s, file), (ep, _f)) = (switch(), epoll());
    ep.add(3, &file, interest(EPOLLONESHOT, 7)).unwrap();
    s.set(true);
    assert_eq!(collected(&ep), [7]);
    s.set(true);
    assert_eq!(collected(&ep), []);
    ep.modify((3, Arc::as_ptr(&file) as usize), interest(EPOLLONESHOT, 8))
        .unwrap();
    assert_eq!(collected(&ep), [8]);
}

#[test]
fn idle_files_are_not_asked() {
    let (ep, _f) = epoll();
    let idle: Vec<_> = (0..1000).map(|_| switch()).collect();
    for (fd, (_, file)) in idle.iter().enumerate() {
        ep.add(fd as i32, file, interest(0, 0)).unwrap();
    }
    let asked = || {
        idle.iter()
            .map(|(s, _)| s.asked.load(Ordering::Relaxed))
            .sum::<usize>()
    };
    let before = asked();
    idle[17].0.set(true);
    assert_eq!(collected(&ep).len(), 1);
    assert_eq!(asked(), before + 1);
}

#[test]
fn a_closed_file_is_forgotten() {
    let ((s, file), (ep, _f)) = (switch(), epoll());
    ep.add(3, &file, interest(0, 7)).unwrap();
    s.set(true);
    drop(file);
    assert_eq!(collected(&ep), []);
    assert!(ep.items.lock().is_empty() && s.queue.is_empty());
}

#[test]
fn the_last_reference_to_an_epoll_leaves_no_trace_in_the_files_it_watched() {
    let ((s, file), (ep, f)) = (switch(), epoll());
    ep.add(3, &file, interest(0, 7)).unwrap();
    drop((ep, f));
    assert!(s.queue.is_empty());
}

#[test]
fn removal_and_double_addition_are_noticed() {
    let ((s, file), (ep, _f)) = (switch(), epoll());
    ep.add(3, &file, interest(0, 7)).unwrap();
    assert_eq!(ep.add(3, &file, interest(0, 7)), Err(Errno::EEXIST));
    let key = (3, Arc::as_ptr(&file) as usize);
    assert!(ep.forget(key));
    assert!(!ep.forget(key));
    s.set(true);
    assert_eq!(collected(&ep), []);
    assert_eq!(ep.modify(key, interest(0, 0)), Err(Errno::ENOENT));
}

#[test]
fn readiness_passes_through_nested_epolls_and_loops_are_refused() {
    let ((s, file), (inner, inner_file), (outer, outer_file)) = (switch(), epoll(), epoll());
    inner.add(3, &file, interest(0, 1)).unwrap();
    outer.add(4, &inner_file, interest(0, 2)).unwrap();
    assert_eq!(collected(&outer), []);
    s.set(true);
    assert_eq!(collected(&outer), [2]);
    assert_eq!(collected(&inner), [1]);
    assert_eq!(inner.add(5, &outer_file, interest(0, 0)), Err(Errno::ELOOP));
}

/// Counts wake-ups.
#[derive(Default)]
struct Counter(core::sync::atomic::AtomicUsize);

impl Wake for Counter {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn who_looks_while_items_are_off_the_list_is_woken_when_they_are_back() {
    let ((s, file), (ep, _f)) = (switch(), epoll());
    let counter = Arc::new(Counter::default());
    ep.watchers.add(1, counter.clone());
    let count = || counter.0.load(Ordering::Relaxed);
    ep.add(3, &file, interest(0, 7)).unwrap();
    s.set(true);
    let told = count();
    assert_eq!(collected(&ep), [7]);
    assert!(ep.has_events());
    assert_eq!(count(), told, "nobody has missed anything");
    ep.begin_scan();
    let item = ep.next_item().unwrap();
    assert!(!ep.has_events());
    ep.put_back(item, VecDeque::push_back);
    ep.end_scan();
    assert!(count() > told);
    assert!(ep.has_events());
}

#[test]
fn what_was_armed_again_meanwhile_is_not_spent() {
    let ((s, file), (ep, _f)) = (switch(), epoll());
    let key = (3, Arc::as_ptr(&file) as usize);
    ep.add(3, &file, interest(EPOLLONESHOT, 7)).unwrap();
    s.set(true);
    let taken = ep.collect(9, |event| {
        assert_eq!({ event.data }, 7);
        ep.modify(key, interest(EPOLLONESHOT, 8))
    });
    assert_eq!(taken, Ok(1));
    assert_eq!(collected(&ep), [8]);
    assert_eq!(collected(&ep), []);
}

#[test]
fn an_event_that_is_not_taken_comes_again() {
    for mode in [0, EPOLLET, EPOLLONESHOT] {
        let ((s, file), (ep, _f)) = (switch(), epoll());
        ep.add(3, &file, interest(mode, 7)).unwrap();
        s.set(true);
        assert_eq!(ep.collect(9, |_| Err(Errno::EFAULT)), Err(Errno::EFAULT));
        assert_eq!(collected(&ep), [7]);
    }
}

#[test]
fn an_event_that_one_has_no_place_for_wakes_another() {
    let ((s, file), (ep, _f)) = (switch(), epoll());
    let counter = Arc::new(Counter::default());
    ep.waiters.add(1, counter.clone());
    ep.add(3, &file, interest(EPOLLET, 7)).unwrap();
    s.set(true);
    let told = counter.0.load(Ordering::Relaxed);
    assert_eq!(ep.collect(9, |_| Err(Errno::EFAULT)), Err(Errno::EFAULT));
    assert_eq!(counter.0.load(Ordering::Relaxed), told + 1);
}

#[test]
fn what_is_not_watched_any_more_is_not_watched_again() {
    let ((s, file), (ep, _f)) = (switch(), epoll());
    let key = (3, Arc::as_ptr(&file) as usize);
    ep.add(3, &file, interest(0, 7)).unwrap();
    let item = ep.items.lock()[&key].clone();
    ep.forget(key);
    // As one finds it who has looked it up just before.
    ep.items.lock().insert(key, item);
    assert_eq!(ep.modify(key, interest(0, 8)), Err(Errno::ENOENT));
    s.set(true);
    assert_eq!(collected(&ep), []);
}
