//! PL031 real-time clock: seconds since the epoch. Arm DDI 0224C, section 3.3.

/// Seconds since the Unix epoch, read from the PL031 whose registers are mapped at kernel virtual address `base`.
pub fn read_epoch_seconds(base: usize) -> u64 {
    // SAFETY: the platform passes the address that it mapped for the RTC of the device tree; RTCDR is its first register.
    unsafe { core::ptr::read_volatile(base as *const u32) }.into()
}
