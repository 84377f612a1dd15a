//! The serial line: one transmitter that whole messages are sent through, one receiver that an interrupt drives.
//!
//! Back-pressure: when the receiver has no room the receive interrupt is masked, the FIFO fills and the other side
//! waits; whoever makes room calls [`resume`].

use super::pl011::Pl011;
use crate::base::SpinLock;
use crate::base::sync::Once;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Who gets the bytes that arrive. Called from the interrupt handler and from [`resume`].
pub trait Receiver: Sync {
    /// How many bytes it takes now.
    fn room(&self) -> usize;
    /// Takes `bytes`, no more than [`room`](Self::room) said.
    fn receive(&self, bytes: &[u8]);
}

struct Uart {
    regs: Pl011,
    irq: u32,
    /// One message at a time. Innermost lock but for the device itself.
    tx: SpinLock<()>,
    /// One drain of the FIFO at a time, so that bytes stay in order. Taken before the receiver's own locks.
    rx: SpinLock<()>,
    /// The receiver was full; the interrupt is masked.
    stopped: AtomicBool,
    /// Bytes of the message under way that are still to go, for [`send_broken`]; exact to a piece.
    unsent: AtomicUsize,
    /// The holder of `tx` was given up on.
    broken: AtomicBool,
}

static UART: Once<Uart> = Once::new();
static RECEIVER: Once<&'static dyn Receiver> = Once::new();

/// Takes the PL011 at kernel virtual address `base`, whose interrupt is `irq`, into use.
pub fn init_uart(base: usize, irq: u32) {
    UART.call_once(|| {
        // SAFETY: the platform passes the address that it mapped for the UART of the device tree.
        let regs = unsafe { Pl011::new(base) };
        regs.enable();
        // Nobody listens yet.
        regs.listen(false);
        Uart {
            regs,
            irq,
            tx: SpinLock::new(()),
            rx: SpinLock::new(()),
            stopped: AtomicBool::new(true),
            unsent: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
        }
    });
}

/// The UART's interrupt number, once it is in use.
pub fn irq() -> Option<u32> {
    UART.get().map(|u| u.irq)
}

/// Says who gets the bytes that arrive; the first call counts.
pub fn set_receiver(receiver: &'static dyn Receiver) {
    RECEIVER.call_once(|| receiver);
    resume();
}

/// The UART's interrupt: called by the platform's interrupt dispatch.
pub fn handle_irq() {
    if let Some(uart) = UART.get() {
        uart.regs.acknowledge();
        uart.drain();
    }
}

/// The receiver has room again.
pub fn resume() {
    if let Some(uart) = UART.get()
        && uart.stopped.load(Ordering::SeqCst)
    {
        uart.drain();
    }
}

impl Uart {
    fn drain(&self) {
        let Some(receiver) = RECEIVER.get() else {
            return;
        };
        let _rx = self.rx.lock();
        loop {
            let mut buf = [0u8; 64];
            let room = receiver.room().min(buf.len());
            if room == 0 {
                if !self.stopped.swap(true, Ordering::SeqCst) {
                    self.regs.listen(false);
                    // Room that was made before the flag was up told nobody: look once more.
                    continue;
                }
                return;
            }
            let mut n = 0;
            while n < room
                && let Some(b) = self.regs.receive()
            {
                buf[n] = b;
                n += 1;
            }
            if n == 0 {
                if self.stopped.swap(false, Ordering::SeqCst) {
                    self.regs.listen(true);
                }
                return;
            }
            receiver.receive(&buf[..n]);
        }
    }
}

/// Sends the parts as one message that no other sender splits. Before [`init_uart`] nothing is sent.
pub fn send(parts: &[&[u8]]) {
    if let Some(uart) = UART.get() {
        let _tx = uart.tx.lock();
        uart.transmit(parts);
    }
}

/// What [`send_broken`] does about a message that its sender will never finish.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unfinished {
    /// Leaves it as it is: text.
    Leave,
    /// Sends NUL bytes in place of the rest, so that a frame ends where its header said.
    Pad,
}

/// Sends the parts though the transmitter may be held by a core that will never let go.
pub fn send_broken(parts: &[&[u8]], unfinished: Unfinished) {
    let Some(uart) = UART.get() else { return };
    // Another core that is merely in the middle of a long message gets time to finish it, once.
    let patience = if uart.broken.load(Ordering::Relaxed) {
        1
    } else {
        20_000_000
    };
    let guard = (0..patience).find_map(|_| {
        core::hint::spin_loop();
        uart.tx.try_lock()
    });
    if guard.is_none() {
        uart.broken.store(true, Ordering::Relaxed);
        let left = uart.unsent.swap(0, Ordering::Relaxed);
        if unfinished == Unfinished::Pad {
            (0..left).for_each(|_| uart.regs.send(&[0]));
        }
    }
    uart.transmit(parts);
}

impl Uart {
    /// Sends the parts; the caller holds `tx`, or has given up on it.
    fn transmit(&self, parts: &[&[u8]]) {
        let mut left: usize = parts.iter().map(|p| p.len()).sum();
        for part in parts {
            for piece in part.chunks(256) {
                self.unsent.store(left, Ordering::Relaxed);
                self.regs.send(piece);
                left -= piece.len();
            }
        }
        self.unsent.store(0, Ordering::Relaxed);
    }
}
