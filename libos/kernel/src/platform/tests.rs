use super::*;

/// Writes device trees (Devicetree Specification 0.4, chapter 5).
#[derive(Default)]
struct Writer {
    nodes: Vec<u8>,
    strings: Vec<u8>,
}

impl Writer {
    fn word(&mut self, word: u32) {
        self.nodes.extend(word.to_be_bytes());
    }

    fn padded(&mut self, bytes: &[u8]) {
        self.nodes.extend(bytes);
        self.nodes.resize(self.nodes.len().next_multiple_of(4), 0);
    }

    fn node(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        self.word(1);
        self.padded(format!("{name}\0").as_bytes());
        inside(self);
        self.word(2);
    }

    fn property(&mut self, name: &str, value: &[u8]) {
        self.word(3);
        self.word(value.len() as u32);
        self.word(self.strings.len() as u32);
        self.strings.extend(format!("{name}\0").as_bytes());
        self.padded(value);
    }

    /// Addresses and sizes of 64 bits below this node.
    fn cells(&mut self) {
        self.property("#address-cells", &2u32.to_be_bytes());
        self.property("#size-cells", &2u32.to_be_bytes());
    }

    fn reg(&mut self, ranges: &[(u64, u64)]) {
        let words = ranges.iter().flat_map(|&(start, len)| [start, len]);
        let bytes: Vec<u8> = words.flat_map(u64::to_be_bytes).collect();
        self.property("reg", &bytes);
    }

    fn finish(mut self, reservations: &[(u64, u64)]) -> &'static [u8] {
        self.word(9);
        let map: Vec<u8> = reservations
            .iter()
            .chain(&[(0, 0)])
            .flat_map(|&(start, len)| [start, len])
            .flat_map(u64::to_be_bytes)
            .collect();
        let (nodes_at, strings_at) = (40 + map.len(), 40 + map.len() + self.nodes.len());
        let total = strings_at + self.strings.len();
        let header = [
            0xd00d_feed,
            total,
            nodes_at,
            strings_at,
            40,
            17,
            16,
            0,
            self.strings.len(),
            self.nodes.len(),
        ];
        let header = header.into_iter().flat_map(|w| (w as u32).to_be_bytes());
        let all: Vec<u8> = header
            .chain(map)
            .chain(self.nodes)
            .chain(self.strings)
            .collect();
        all.leak()
    }
}

/// A tree with so much RAM, so many nodes below /reserved-memory, and these reservations in its header.
fn machine(ram: &[(u64, u64)], nodes: &[(u64, u64)], header: &[(u64, u64)]) -> Result<Machine> {
    let mut tree = Writer::default();
    tree.node("", |tree| {
        tree.cells();
        tree.node("memory@0", |tree| {
            tree.property("device_type", b"memory\0");
            tree.reg(ram);
        });
        tree.node("reserved-memory", |tree| {
            tree.cells();
            tree.property("ranges", b"");
            for range in nodes {
                tree.node(&format!("firmware@{:x}", range.0), |tree| {
                    tree.reg(&[*range])
                });
            }
            // Firmware that may lie anywhere.
            tree.node("pool", |tree| tree.property("size", &[0; 8]));
        });
        // A node of that name anywhere else means nothing.
        tree.node("soc", |tree| {
            tree.cells();
            tree.node("reserved-memory", |tree| {
                tree.cells();
                tree.node("device@1000", |tree| tree.reg(&[(0x1000, 0x1000)]));
            });
        });
    });
    let bytes = tree.finish(header);
    // SAFETY: a tree that is never freed.
    unsafe { discover(bytes.as_ptr().addr(), 0x4800_0000) }
}

fn kept(ranges: &Ranges) -> Vec<Range<usize>> {
    let kept = ranges.as_slice().iter();
    kept.map(|r| r.start.0..r.end.0).collect()
}

#[test]
fn what_is_reserved_is_found_in_header_and_nodes() {
    let ram = [(0x4000_0000, 0x1000_0000), (0x1_0000_0000, 0x2000)];
    let m = machine(&ram, &[(0x4100_0000, 0x3000)], &[(0x4200_0000, 0x1000)]);
    let m = m.unwrap();
    assert_eq!(
        kept(&m.ram),
        [0x4000_0000..0x5000_0000, 0x1_0000_0000..0x1_0000_2000]
    );
    assert_eq!(
        kept(&m.reserved),
        [0x4200_0000..0x4200_1000, 0x4100_0000..0x4100_3000]
    );
    assert_eq!(m.tree.start, 0x4800_0000);
}

#[test]
fn too_much_ram_is_left_and_too_many_reservations_are_refused() {
    let many: Vec<(u64, u64)> = (1..=21).map(|n| (n << 28, 0x1000)).collect();
    let m = machine(&many, &many[..20], &[]).unwrap();
    assert_eq!((m.ram.count, m.reserved.count), (20, 20));
    assert_eq!(machine(&many, &many, &[]).err(), Some(Errno::ENOSPC));
    assert_eq!(machine(&[], &[], &[]).err(), Some(Errno::ENODEV));
}

#[test]
fn room_for_tables_is_found_around_what_is_taken() {
    let mut taken = Ranges::default();
    for (start, len) in [(0x9000, 0x1001), (0, 0), (0x1000, 0x4000), (0xc000, 0x1000)] {
        taken.add(start, len).unwrap();
    }
    assert_eq!(taken.free_from(0x4001, 0x2000), 0x5000);
    assert_eq!(taken.free_from(0x4001, 0x4000), 0x5000);
    assert_eq!(taken.free_from(0x4001, 0x4001), 0xd000);
    assert_eq!(taken.free_from(0xb000, 0x1000), 0xb000);
    assert_eq!(taken.free_from(0xf001, 1), 0x10000);
}
