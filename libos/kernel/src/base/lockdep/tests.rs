use crate::base::SpinLock;
use crate::base::sync::{may_fault, may_sleep};
use core::sync::atomic::Ordering;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Reports switch the check off for good, and the tests of a run share it: one at a time, and on again after each.
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn report_of(f: impl FnOnce()) -> Option<String> {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let outcome = catch_unwind(AssertUnwindSafe(f));
    super::REPORTED.store(false, Ordering::Relaxed);
    outcome
        .err()
        .map(|p| *p.downcast::<String>().expect("a message"))
}

#[test]
fn an_inversion_is_reported_although_nothing_hangs() {
    let (a, b) = (SpinLock::new(1), SpinLock::new(2));
    let forth = report_of(|| {
        let _a = a.lock();
        let _b = b.lock();
    });
    assert_eq!(forth, None);
    let back = report_of(|| {
        let _b = b.lock();
        let _a = a.lock();
    });
    let back = back.expect("a report");
    assert!(back.contains("the other order is known"), "{back}");
    assert_eq!(
        back.matches("src/base/lockdep/tests.rs").count(),
        8,
        "{back}"
    );
}

#[test]
fn a_core_that_takes_its_own_lock_is_reported() {
    let a = SpinLock::new(1);
    let report = report_of(|| {
        let _a = a.lock();
        let _again = a.lock();
    });
    assert!(report.expect("a report").starts_with("lock recursion"));
}

#[test]
fn two_of_a_class_need_an_order() {
    let both = [(); 2].map(|()| SpinLock::new(1));
    let report = report_of(|| {
        let _a = both[0].lock();
        let _b = both[1].lock();
    });
    assert!(report.expect("a report").contains("two of one class"));
    let ordered = report_of(|| {
        let _a = both[0].lock();
        let _b = both[1].lock_nested();
    });
    assert_eq!(ordered, None);
}

#[test]
fn sleeping_with_a_lock_held_is_reported() {
    let a = SpinLock::new(1);
    let report = report_of(|| {
        let _a = a.lock();
        may_sleep();
    });
    assert!(report.expect("a report").starts_with("may sleep"));
    assert_eq!(report_of(may_sleep), None);
}

#[test]
fn a_lock_of_the_fault_path_may_not_be_held_over_a_copy() {
    let (space, pipe) = (SpinLock::new(1), SpinLock::new(2));
    let learns = report_of(|| {
        let _fault = super::enter_fault();
        let _space = space.lock();
    });
    assert_eq!(learns, None);
    let harmless = report_of(|| {
        let _pipe = pipe.lock();
        may_fault();
    });
    assert_eq!(harmless, None);
    let report = report_of(|| {
        let _space = space.lock();
        may_fault();
    });
    let report = report.expect("a report");
    assert!(report.contains("program memory is taken"), "{report}");
}

#[test]
fn trying_cannot_deadlock() {
    let (a, b) = (SpinLock::new(1), SpinLock::new(2));
    let report = report_of(|| {
        {
            let _a = a.lock();
            let _b = b.try_lock().expect("free");
        }
        let _b = b.lock();
        let _a = a.lock();
    });
    assert_eq!(report, None);
}
