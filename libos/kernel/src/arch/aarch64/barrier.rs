//! A memory barrier on every core (membarrier(2)).
//!
//! Each question has a number. A core answers the highest one asked by a barrier of its own and storing that number. Whoever asks
//! sends an interrupt to the others and waits for their answers; as interrupts are masked meanwhile, it answers others' questions
//! itself, so that two who ask at once do not wait for each other.

use super::{cpu, gic};
use crate::arch::MAX_CPUS;
use core::sync::atomic::{AtomicUsize, Ordering, fence};

static ASKED: AtomicUsize = AtomicUsize::new(0);
static ANSWERED: [AtomicUsize; MAX_CPUS] = [const { AtomicUsize::new(0) }; MAX_CPUS];

/// The calling core's answer. It has executed a full barrier, and whatever its program does next comes after it.
pub fn answer() {
    let asked = ASKED.load(Ordering::SeqCst);
    fence(Ordering::SeqCst);
    ANSWERED[cpu::cpu_id()].fetch_max(asked, Ordering::SeqCst);
}

/// Returns when every core has executed a full barrier after the call began. Called with no lock held: a core that waits for one
/// with interrupts masked could not answer.
pub fn on_every_core() {
    fence(Ordering::SeqCst);
    let number = ASKED.fetch_add(1, Ordering::SeqCst) + 1;
    let here = cpu::cpu_id();
    let others = || cpu::online().filter(|&core| core != here);
    for core in others() {
        gic::send_sgi(core, gic::SGI_BARRIER);
    }
    for core in others() {
        while ANSWERED[core].load(Ordering::SeqCst) < number {
            answer();
            core::hint::spin_loop();
        }
    }
    fence(Ordering::SeqCst);
}
