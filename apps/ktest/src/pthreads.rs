//! Threads by C's names: what others can do to one, what it is made with, and what it leaves behind.

use crate::support::*;
use libc::c_void;
use std::ptr::without_provenance;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;

crate::harness::tests![a_deleted_keys_values_are_gone, keys_run_out_and_come_back,];

fn a_deleted_keys_values_are_gone() {
    let mut key = 0;
    assert_eq!(sys!(pthread_key_create(&mut key, None)), 0);
    let steps = AtomicU32::new(0);
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            let value = without_provenance::<c_void>(7);
            assert_eq!(sys!(pthread_setspecific(key, value)), 0);
            steps.store(1, SeqCst);
            until("the key is another", || steps.load(SeqCst) == 2);
            sys!(pthread_getspecific(key)).addr()
        });
        until("it is set", || steps.load(SeqCst) == 1);
        let mut again = 0;
        assert_eq!(sys!(pthread_key_delete(key)), 0);
        assert_eq!(sys!(pthread_key_create(&mut again, None)), 0);
        assert_eq!(again, key, "the number is used again");
        steps.store(2, SeqCst);
        assert_eq!(other.join().expect("no panic"), 0);
    });
    assert_eq!(sys!(pthread_key_delete(key)), 0);
    assert_eq!(sys!(pthread_key_delete(key)), libc::EINVAL);
}

fn keys_run_out_and_come_back() {
    let mut keys = Vec::new();
    loop {
        let mut key = 0;
        match sys!(pthread_key_create(&mut key, None)) {
            0 => keys.push(key),
            e => {
                assert_eq!(e, libc::EAGAIN);
                break;
            }
        }
    }
    // POSIX asks for 128, of which others in this process may have some.
    assert!(keys.len() > 100);
    for &key in &keys {
        let value = without_provenance::<c_void>(key as usize + 1);
        assert_eq!(sys!(pthread_setspecific(key, value)), 0);
    }
    for &key in &keys {
        assert_eq!(sys!(pthread_getspecific(key)).addr(), key as usize + 1);
        assert_eq!(sys!(pthread_key_delete(key)), 0);
    }
    let mut key = 0;
    assert_eq!(sys!(pthread_key_create(&mut key, None)), 0);
    assert!(sys!(pthread_getspecific(key)).is_null());
}
