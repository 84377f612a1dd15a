//! Faults: who may touch which page, and what a handler learns of it.

use crate::support::*;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

crate::harness::tests![
    null_is_sigsegv,
    kernel_addresses_are_out_of_reach,
    read_only_memory_is_not_written,
    forbidden_memory_is_not_read,
    permissions_come_and_go,
    part_of_a_mapping_can_be_protected,
    protecting_a_hole_is_enomem: Native,
    constants_are_read_only,
    code_is_read_only,
    data_is_not_executed,
    the_fault_address_is_told,
    a_protection_fault_has_its_code,
    bus_errors_have_their_code,
    a_handler_can_repair: Native,
    copies_on_write_survive_protection,
    fault_with_blocked_signal_kills,
    undefined_instructions_are_sigill,
    division_by_zero_panics_only,
];

const PAGE: usize = 4096;

fn map(prot: i32) -> *mut u8 {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let got = sys!(mmap(ptr::null_mut(), 4 * PAGE, prot, flags, -1, 0));
    assert_ne!(got, libc::MAP_FAILED);
    got.cast()
}

fn protect(at: *mut u8, size: usize, prot: i32) -> i32 {
    sys!(mprotect(at.cast(), size, prot))
}

/// How a child ends that touches memory in a way that may be fatal.
fn end_of_touch(touch: impl FnOnce()) -> End {
    end_of(|| {
        // std's own handler would turn some faults into a message and an abort.
        on_signal(libc::SIGSEGV, 0, libc::SIG_DFL);
        on_signal(libc::SIGBUS, 0, libc::SIG_DFL);
        touch();
        0
    })
}

fn read(at: *const u8) -> u8 {
    // SAFETY: faulting is what the tests are about; each runs in a process of its own.
    unsafe { at.read_volatile() }
}

/// Reads for the fault's sake only.
fn touch_at(at: *const u8) {
    std::hint::black_box(read(at));
}

fn write(at: *mut u8, value: u8) {
    // SAFETY: as for `read`.
    unsafe { at.write_volatile(value) }
}

fn null_is_sigsegv() {
    for address in [0usize, 8, 4095] {
        let end = end_of_touch(|| touch_at(ptr::without_provenance(address)));
        assert_eq!(end, End::Signal(libc::SIGSEGV));
        let end = end_of_touch(|| write(ptr::without_provenance_mut(address), 1));
        assert_eq!(end, End::Signal(libc::SIGSEGV));
    }
}

/// Whether this program is linked with a kernel: it then runs at the kernel's own exception level, and what keeps it from
/// the kernel's memory is the language, not the hardware.
fn is_linked() -> bool {
    std::fs::read_to_string("/proc/self/maps").is_ok_and(|maps| maps.contains("[image]"))
}

fn kernel_addresses_are_out_of_reach() {
    let (reader, writer) = pipe();
    for address in [
        0xffff_ff80_0000_0000usize,
        0xffff_ff80_4000_0000,
        0xffff_ffff_8000_0000,
        0xffff_ffff_ffff_f000,
        0x00ff_0000_0000_0000,
        0x8000_0000_0000_0000,
    ] {
        let (from, to) = (
            ptr::without_provenance(address),
            ptr::without_provenance_mut(address),
        );
        fails(sys!(write(writer.as_raw_fd(), from, 1)), libc::EFAULT);
        ok(sys!(write(writer.as_raw_fd(), [1u8].as_ptr().cast(), 1)));
        fails(sys!(read(reader.as_raw_fd(), to, 1)), libc::EFAULT);
        if is_linked() {
            continue;
        }
        let end = end_of_touch(|| touch_at(ptr::without_provenance(address)));
        assert_eq!(end, End::Signal(libc::SIGSEGV), "reading {address:#x}");
        let end = end_of_touch(|| write(ptr::without_provenance_mut(address), 1));
        assert_eq!(end, End::Signal(libc::SIGSEGV), "writing {address:#x}");
    }
}

fn read_only_memory_is_not_written() {
    let at = map(libc::PROT_READ);
    assert_eq!(read(at), 0);
    assert_eq!(end_of_touch(|| write(at, 1)), End::Signal(libc::SIGSEGV));
}

fn forbidden_memory_is_not_read() {
    let at = map(libc::PROT_NONE);
    assert_eq!(end_of_touch(|| touch_at(at)), End::Signal(libc::SIGSEGV));
}

fn permissions_come_and_go() {
    let at = map(libc::PROT_READ | libc::PROT_WRITE);
    write(at, 6);
    ok(protect(at, PAGE, libc::PROT_READ));
    assert_eq!(read(at), 6);
    assert_eq!(end_of_touch(|| write(at, 1)), End::Signal(libc::SIGSEGV));
    ok(protect(at, PAGE, libc::PROT_NONE));
    assert_eq!(end_of_touch(|| touch_at(at)), End::Signal(libc::SIGSEGV));
    ok(protect(at, PAGE, libc::PROT_READ | libc::PROT_WRITE));
    assert_eq!(read(at), 6);
    write(at, 7);
    assert_eq!(read(at), 7);
}

fn part_of_a_mapping_can_be_protected() {
    let at = map(libc::PROT_READ | libc::PROT_WRITE);
    ok(protect(at.wrapping_add(PAGE), PAGE, libc::PROT_READ));
    write(at.wrapping_add(PAGE - 1), 1);
    write(at.wrapping_add(2 * PAGE), 1);
    let end = end_of_touch(|| write(at.wrapping_add(PAGE), 1));
    assert_eq!(end, End::Signal(libc::SIGSEGV));
}

fn protecting_a_hole_is_enomem() {
    let at = map(libc::PROT_READ);
    ok(sys!(munmap(at.wrapping_add(PAGE).cast(), PAGE)));
    fails(protect(at, 4 * PAGE, libc::PROT_READ), libc::ENOMEM);
    fails(
        protect(at.wrapping_add(1), PAGE, libc::PROT_READ),
        libc::EINVAL,
    );
    ok(protect(at, 0, libc::PROT_READ));
}

static CONSTANT: [u8; 64] = [3; 64];

fn constants_are_read_only() {
    let at = (&raw const CONSTANT).cast_mut().cast::<u8>();
    assert_eq!(read(at), 3);
    assert_eq!(end_of_touch(|| write(at, 1)), End::Signal(libc::SIGSEGV));
}

fn code_is_read_only() {
    let at = code_is_read_only as *const () as *mut u8;
    let end = end_of_touch(|| write(at, 0));
    assert_eq!(end, End::Signal(libc::SIGSEGV));
}

fn data_is_not_executed() {
    let at = map(libc::PROT_READ | libc::PROT_WRITE);
    #[cfg(target_arch = "aarch64")]
    let code = 0xd65f_03c0u32.to_le_bytes(); // ret
    #[cfg(target_arch = "x86_64")]
    let code = [0xc3u8, 0, 0, 0]; // ret
    for (n, byte) in code.iter().enumerate() {
        write(at.wrapping_add(n), *byte);
    }
    let end = end_of_touch(|| {
        // SAFETY: none; it must fault, and if it does not, the bytes are a return instruction.
        let function: extern "C" fn() = unsafe { std::mem::transmute(at) };
        function();
    });
    assert_eq!(end, End::Signal(libc::SIGSEGV));
}

static SEEN_ADDRESS: AtomicUsize = AtomicUsize::new(0);

/// Exits with the fault's code, 100 more if the address is not the expected one.
extern "C" fn tell_fault(_: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel hands a valid siginfo to an SA_SIGINFO handler.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr().addr()) };
    let wrong = address != SEEN_ADDRESS.load(Ordering::SeqCst);
    sys!(_exit(code + if wrong { 100 } else { 0 }));
}

fn code_of_fault(signal: i32, at: usize, touch: impl FnOnce()) -> End {
    end_of(|| {
        SEEN_ADDRESS.store(at, Ordering::SeqCst);
        on_signal(signal, libc::SA_SIGINFO, tell_fault as *const () as usize);
        touch();
        99
    })
}

const SEGV_MAPERR: i32 = 1;
const SEGV_ACCERR: i32 = 2;
const BUS_ADRERR: i32 = 2;

fn the_fault_address_is_told() {
    let at = map(libc::PROT_READ);
    ok(sys!(munmap(at.cast(), 4 * PAGE)));
    for offset in [0, 1, 17, PAGE - 1, PAGE, 3 * PAGE + 5] {
        let address = at.wrapping_add(offset);
        let end = code_of_fault(libc::SIGSEGV, address.addr(), || touch_at(address));
        assert_eq!(end, End::Exit(SEGV_MAPERR));
        let end = code_of_fault(libc::SIGSEGV, address.addr(), || write(address, 1));
        assert_eq!(end, End::Exit(SEGV_MAPERR));
    }
    let end = code_of_fault(libc::SIGSEGV, 0x10, || {
        touch_at(ptr::without_provenance(0x10))
    });
    assert_eq!(end, End::Exit(SEGV_MAPERR));
}

fn a_protection_fault_has_its_code() {
    let at = map(libc::PROT_READ);
    let address = at.wrapping_add(PAGE + 3);
    let end = code_of_fault(libc::SIGSEGV, address.addr(), || write(address, 1));
    assert_eq!(end, End::Exit(SEGV_ACCERR));
    let at = map(libc::PROT_NONE);
    let end = code_of_fault(libc::SIGSEGV, at.addr(), || touch_at(at));
    assert_eq!(end, End::Exit(SEGV_ACCERR));
}

fn bus_errors_have_their_code() {
    std::fs::write("f", b"x").expect("a new file");
    let file = open("f", libc::O_RDONLY, 0);
    let (prot, flags) = (libc::PROT_READ, libc::MAP_SHARED);
    let at = sys!(mmap(
        ptr::null_mut(),
        2 * PAGE,
        prot,
        flags,
        file.as_raw_fd(),
        0
    ));
    let address = at.cast::<u8>().wrapping_add(PAGE + 9);
    let end = code_of_fault(libc::SIGBUS, address.addr(), || touch_at(address));
    assert_eq!(end, End::Exit(BUS_ADRERR));
}

extern "C" fn allow_writing(_: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: as in `tell_fault`.
    let address = unsafe { (*info).si_addr().addr() } & !(PAGE - 1);
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    sys!(mprotect(ptr::without_provenance_mut(address), PAGE, prot));
    SEEN_ADDRESS.fetch_add(1, Ordering::SeqCst);
}

fn a_handler_can_repair() {
    let at = map(libc::PROT_NONE);
    on_signal(
        libc::SIGSEGV,
        libc::SA_SIGINFO,
        allow_writing as *const () as usize,
    );
    for page in 0..4 {
        write(at.wrapping_add(page * PAGE + 100), 8);
        assert_eq!(read(at.wrapping_add(page * PAGE + 100)), 8);
    }
    assert_eq!(SEEN_ADDRESS.load(Ordering::SeqCst), 4, "one fault a page");
}

fn copies_on_write_survive_protection() {
    let at = map(libc::PROT_READ | libc::PROT_WRITE);
    write(at, 1);
    let end = end_of_touch(|| {
        ok(protect(at, PAGE, libc::PROT_READ));
        ok(protect(at, PAGE, libc::PROT_READ | libc::PROT_WRITE));
        write(at, 2);
        assert_eq!(read(at), 2);
    });
    assert_eq!(end, End::Exit(0));
    assert_eq!(
        read(at),
        1,
        "making a shared page writable again must not share the write"
    );
}

fn fault_with_blocked_signal_kills() {
    let end = end_of(|| {
        on_signal(
            libc::SIGSEGV,
            libc::SA_SIGINFO,
            tell_fault as *const () as usize,
        );
        block(&[libc::SIGSEGV]);
        touch_at(ptr::without_provenance(8));
        0
    });
    assert_eq!(end, End::Signal(libc::SIGSEGV));
}

fn undefined_instructions_are_sigill() {
    let end = end_of_touch(|| {
        // SAFETY: executes an instruction that is defined to be undefined.
        unsafe {
            #[cfg(target_arch = "aarch64")]
            std::arch::asm!("udf #0");
            #[cfg(target_arch = "x86_64")]
            std::arch::asm!("ud2");
        }
    });
    assert_eq!(end, End::Signal(libc::SIGILL));
}

fn division_by_zero_panics_only() {
    crate::harness::expect_panics();
    let zero = std::hint::black_box(0);
    let end = end_of(|| {
        let result = std::panic::catch_unwind(|| 5 / std::hint::black_box(zero));
        i32::from(result.is_ok())
    });
    assert_eq!(end, End::Exit(0));
}
