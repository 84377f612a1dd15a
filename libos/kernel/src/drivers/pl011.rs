//! Arm PrimeCell UART (PL011): registers only. Arm DDI 0183G, chapter 3.
//!
//! The firmware has set the baud rate; this driver keeps it and turns the FIFOs and the receive interrupts on.

const DR: usize = 0x00;
const FR: usize = 0x18;
const LCR_H: usize = 0x2c;
const CR: usize = 0x30;
const IFLS: usize = 0x34;
const IMSC: usize = 0x38;
const ICR: usize = 0x44;

const FR_RXFE: u32 = 1 << 4;
const FR_TXFF: u32 = 1 << 5;
const FR_TXFE: u32 = 1 << 7;
const LCR_H_FEN: u32 = 1 << 4;
const LCR_H_WLEN_8: u32 = 3 << 5;
const CR_UARTEN: u32 = 1 << 0;
const CR_TXE: u32 = 1 << 8;
const CR_RXE: u32 = 1 << 9;
/// Receive interrupt at 1/8 full; the timeout interrupt tells of the rest.
const IFLS_RX_1_8: u32 = 0;
const INT_RX: u32 = 1 << 4;
const INT_RT: u32 = 1 << 6;
/// Entries of the transmit FIFO that every revision of the part has.
const TX_FIFO: usize = 16;

/// One PL011, mapped as device memory.
pub struct Pl011 {
    base: usize,
}

impl Pl011 {
    /// # Safety
    /// `base` is the kernel virtual address of a PL011's register page, mapped as device memory for good.
    pub const unsafe fn new(base: usize) -> Self {
        Pl011 { base }
    }

    fn read(&self, register: usize) -> u32 {
        // SAFETY: the maker of `self` vouches for the register page; all offsets used lie inside it.
        unsafe { core::ptr::read_volatile((self.base + register) as *const u32) }
    }

    fn write(&self, register: usize, value: u32) {
        // SAFETY: as for `read`; no register used here makes the device touch memory.
        unsafe { core::ptr::write_volatile((self.base + register) as *mut u32, value) }
    }

    /// Turns FIFOs, both directions and the receive interrupts on.
    pub fn enable(&self) {
        self.write(IMSC, 0);
        self.write(ICR, 0x7ff);
        self.write(LCR_H, LCR_H_WLEN_8 | LCR_H_FEN);
        self.write(IFLS, IFLS_RX_1_8);
        self.write(CR, CR_UARTEN | CR_TXE | CR_RXE);
        self.listen(true);
    }

    /// Unmasks or masks the receive interrupts. Masked, the FIFO fills and the sender is held off.
    pub fn listen(&self, on: bool) {
        self.write(IMSC, if on { INT_RX | INT_RT } else { 0 });
    }

    /// Sends all of `bytes`, waiting for room in the FIFO.
    pub fn send(&self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let flags = self.read(FR);
            // One look at the flags pays for a whole FIFO when it is empty.
            let n = match flags {
                f if f & FR_TXFE != 0 => TX_FIFO.min(rest.len()),
                f if f & FR_TXFF == 0 => 1,
                _ => {
                    core::hint::spin_loop();
                    continue;
                }
            };
            for &b in &rest[..n] {
                self.write(DR, b.into());
            }
            rest = &rest[n..];
        }
    }

    /// The next byte received. Bytes with a line error are passed on like others; a break is dropped.
    pub fn receive(&self) -> Option<u8> {
        const BREAK: u32 = 1 << 10;
        while self.read(FR) & FR_RXFE == 0 {
            let word = self.read(DR);
            if word & BREAK == 0 {
                return Some(word as u8);
            }
        }
        None
    }

    /// Acknowledges the receive interrupts.
    pub fn acknowledge(&self) {
        self.write(ICR, INT_RX | INT_RT);
    }
}
