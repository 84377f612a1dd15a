//! What machine this is: everything is found in the device tree (Devicetree Specification 0.4) by `compatible` strings.

use crate::base::{Errno, PhysAddr, Result, page_up};
use core::ops::Range;
use fdt_parser::base::Fdt;

#[cfg(test)]
mod tests;

/// Ranges of RAM, and of what is reserved in it, that are kept.
const MAX_RANGES: usize = 20;

/// Ranges of physical memory.
#[derive(Default)]
pub struct Ranges {
    list: [Range<PhysAddr>; MAX_RANGES],
    count: usize,
}

impl Ranges {
    pub fn as_slice(&self) -> &[Range<PhysAddr>] {
        &self.list[..self.count]
    }

    /// `ENOSPC` when there is no room for it.
    pub fn add(&mut self, start: usize, len: usize) -> Result<()> {
        if len > 0 {
            let place = self.list.get_mut(self.count).ok_or(Errno::ENOSPC)?;
            *place = PhysAddr(start)..PhysAddr(start + len);
            self.count += 1;
        }
        Ok(())
    }

    /// The lowest page from `at` on that begins `len` bytes with nothing of these.
    pub fn free_from(&self, at: usize, len: usize) -> usize {
        let mut at = page_up(at);
        let within = |at: usize, r: &&Range<PhysAddr>| r.start.0 < at + len && at < r.end.0;
        while let Some(r) = self.as_slice().iter().find(|r| within(at, r)) {
            at = page_up(r.end.0);
        }
        at
    }
}

/// A block of device registers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Registers {
    pub phys: usize,
    pub len: usize,
}

/// What the device tree says of the machine.
pub struct Machine {
    pub ram: Ranges,
    pub reserved: Ranges,
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

/// Reads the tree at `virt` (physical address `phys`). `ENODEV` when there is no tree or no RAM in it, `ENOSPC` when more of it is
/// reserved than can be kept.
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
        ram: Ranges::default(),
        reserved: Ranges::default(),
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
        m.reserved.add(r.address as usize, r.size)?;
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
                if m.ram.add(r.phys, r.len).is_err() {
                    klog!(Warn, "RAM at {:#x}: more ranges than are kept", r.phys);
                }
            }
        } else if node.level() == 2 && node.parent_name() == Some("reserved-memory") {
            // One without a place of its own may have any, and nobody asks us for it.
            for n in 0.. {
                let Some(r) = registers(n) else { break };
                m.reserved.add(r.phys, r.len)?;
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
    if m.ram.count == 0 {
        Err(Errno::ENODEV)
    } else {
        Ok(m)
    }
}
