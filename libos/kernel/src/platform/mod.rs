//! What machine this is: everything is found in the device tree (Devicetree Specification 0.4) by `compatible` strings.

use crate::base::{Errno, Result};
use core::ops::Range;
use fdt_parser::base::Fdt;

/// Ranges of RAM that are kept; more are ignored, with a line in the log.
const MAX_RANGES: usize = 16;

/// A block of device registers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Registers {
    pub phys: usize,
    pub len: usize,
}

/// What the device tree says of the machine.
pub struct Machine {
    pub ram: [Range<usize>; MAX_RANGES],
    pub ram_count: usize,
    pub reserved: [Range<usize>; MAX_RANGES],
    pub reserved_count: usize,
    pub uart: Option<(Registers, u32)>,
    pub gic: Option<(usize, Registers, Registers)>,
    pub rtc: Option<Registers>,
    pub psci: Option<&'static str>,
    pub cpus: [usize; crate::arch::MAX_CPUS],
    pub cpu_count: usize,
    pub arguments: &'static str,
    pub seeds: [&'static [u8]; 2],
    pub tree: Range<usize>,
}

impl Machine {
    pub fn ram(&self) -> &[Range<usize>] {
        &self.ram[..self.ram_count]
    }
    pub fn reserved(&self) -> &[Range<usize>] {
        &self.reserved[..self.reserved_count]
    }

    /// The value of boot argument `key=value`.
    pub fn argument(&self, key: &str) -> Option<&'static str> {
        self.arguments
            .split_ascii_whitespace()
            .filter_map(|a| a.split_once('='))
            .find(|(k, _)| *k == key)
            .map(|(_, v)| v)
    }
}

/// A node's properties that matter here, gathered in one pass over it.
#[derive(Default)]
struct Properties {
    compatible: Option<&'static [u8]>,
    device_type: Option<&'static [u8]>,
    disabled: bool,
    interrupt: Option<u32>,
    method: Option<&'static str>,
    bootargs: Option<&'static str>,
    seeds: [Option<&'static [u8]>; 2],
}

fn text(bytes: &'static [u8]) -> Option<&'static str> {
    core::str::from_utf8(bytes.split(|&b| b == 0).next()?).ok()
}

fn be32(bytes: &[u8], index: usize) -> Option<u32> {
    bytes
        .get(4 * index..4 * index + 4)
        .and_then(|b| b.try_into().ok())
        .map(u32::from_be_bytes)
}

impl Properties {
    fn is(&self, name: &str) -> bool {
        self.compatible
            .is_some_and(|c| c.split(|&b| b == 0).any(|s| s == name.as_bytes()))
    }
}

/// Reads the tree at `virt` (physical address `phys`). `ENODEV` when there is no tree or no RAM in it.
///
/// # Safety
/// `virt` is mapped and, if it holds a device tree, the tree stays there unchanged.
pub unsafe fn discover(virt: usize, phys: usize) -> Result<Machine> {
    // SAFETY: by the contract the header is readable; its second word is the size of the whole.
    let size = unsafe {
        if (virt as *const u32).read_unaligned() != 0xd00d_feedu32.to_be() {
            return Err(Errno::ENODEV);
        }
        u32::from_be((virt as *const u32).add(1).read_unaligned()) as usize
    };
    // SAFETY: by the contract.
    let bytes: &'static [u8] = unsafe { core::slice::from_raw_parts(virt as *const u8, size) };
    let fdt = Fdt::from_bytes(bytes).map_err(|_| Errno::ENODEV)?;
    let mut m = Machine {
        ram: [const { 0..0 }; MAX_RANGES],
        ram_count: 0,
        reserved: [const { 0..0 }; MAX_RANGES],
        reserved_count: 0,
        uart: None,
        gic: None,
        rtc: None,
        psci: None,
        cpus: [0; crate::arch::MAX_CPUS],
        cpu_count: 0,
        arguments: "",
        seeds: [&[]; 2],
        tree: phys..phys + size,
    };
    for r in fdt.memory_reservation_blocks() {
        add(
            &mut m.reserved,
            &mut m.reserved_count,
            r.address as usize,
            r.size,
        );
    }
    for node in fdt.all_nodes().flatten() {
        let mut p = Properties::default();
        for property in node.properties().flatten() {
            let value = property.raw_value();
            match property.name {
                "compatible" => p.compatible = Some(value),
                "device_type" => p.device_type = Some(value),
                "status" => p.disabled = value.starts_with(b"disabled"),
                // GIC binding: type (0 shared, 1 private), number, flags.
                "interrupts" => {
                    p.interrupt = be32(value, 0)
                        .zip(be32(value, 1))
                        .map(|(kind, n)| n + if kind == 0 { 32 } else { 16 });
                }
                "method" => p.method = text(value),
                "bootargs" => p.bootargs = text(value),
                "rng-seed" => p.seeds[0] = Some(value),
                "kaslr-seed" => p.seeds[1] = Some(value),
                _ => {}
            }
        }
        if p.disabled {
            continue;
        }
        let registers = |n: usize| {
            let r = node.reg().ok()?.nth(n)?;
            Some(Registers {
                phys: r.address as usize,
                len: r.size.unwrap_or(0),
            })
        };
        if p.device_type.is_some_and(|t| t.starts_with(b"memory")) {
            for n in 0.. {
                let Some(r) = registers(n) else { break };
                add(&mut m.ram, &mut m.ram_count, r.phys, r.len);
            }
        } else if p.device_type.is_some_and(|t| t.starts_with(b"cpu\0")) {
            if let Some(r) = registers(0)
                && m.cpu_count < m.cpus.len()
            {
                m.cpus[m.cpu_count] = r.phys;
                m.cpu_count += 1;
            }
        } else if let Some(arguments) = p.bootargs {
            m.arguments = arguments;
        } else if p.is("arm,pl011") && m.uart.is_none() {
            m.uart = registers(0).zip(p.interrupt);
        } else if p.is("arm,pl031") {
            m.rtc = registers(0);
        } else if p.is("arm,cortex-a15-gic") || p.is("arm,gic-400") {
            m.gic = registers(0).zip(registers(1)).map(|(d, c)| (2, d, c));
        } else if p.is("arm,gic-v3") {
            m.gic = registers(0).zip(registers(1)).map(|(d, r)| (3, d, r));
        } else if p.is("arm,psci") || p.is("arm,psci-0.2") || p.is("arm,psci-1.0") {
            m.psci = p.method;
        }
        for (kept, found) in m.seeds.iter_mut().zip(p.seeds) {
            *kept = found.unwrap_or(kept);
        }
    }
    if m.ram_count == 0 {
        Err(Errno::ENODEV)
    } else {
        Ok(m)
    }
}

fn add(list: &mut [Range<usize>; MAX_RANGES], count: &mut usize, start: usize, len: usize) {
    if len > 0 && *count < MAX_RANGES {
        list[*count] = start..start + len;
        *count += 1;
    }
}
