//! Reading a ustar archive in memory (POSIX pax, "ustar Interchange Format"), nothing copied.

/// One member of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// First part of the path, to be joined with `name` by a slash; mostly empty.
    pub prefix: &'a [u8],
    pub name: &'a [u8],
    pub kind: MemberKind<'a>,
    pub perm: u16,
    pub uid: u32,
    pub gid: u32,
    /// Seconds since the epoch.
    pub mtime: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberKind<'a> {
    File(&'a [u8]),
    Directory,
    Symlink(&'a [u8]),
    /// Another name for an earlier member.
    HardLink(&'a [u8]),
}

/// The members of an archive, in order; ends at the first header that is none.
pub struct Members<'a> {
    rest: &'a [u8],
}

const BLOCK: usize = 512;

pub fn members(archive: &[u8]) -> Members<'_> {
    Members { rest: archive }
}

fn octal(field: &[u8]) -> u64 {
    let digits = field
        .iter()
        .skip_while(|&&b| b == b' ')
        .take_while(|b| matches!(b, b'0'..=b'7'));
    digits.fold(0, |n, &b| n << 3 | (b - b'0') as u64)
}

fn text(field: &[u8]) -> &[u8] {
    &field[..field.iter().position(|&b| b == 0).unwrap_or(field.len())]
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        loop {
            let (header, rest) = self.rest.split_at_checked(BLOCK)?;
            if header.get(257..262)? != b"ustar" {
                return None;
            }
            let size = octal(&header[124..136]) as usize;
            let data = rest.get(..size)?;
            self.rest = rest.get(size.next_multiple_of(BLOCK)..).unwrap_or(&[]);
            let link = text(&header[157..257]);
            let kind = match header[156] {
                0 | b'0' => MemberKind::File(data),
                b'1' => MemberKind::HardLink(link),
                b'2' => MemberKind::Symlink(link),
                b'5' => MemberKind::Directory,
                // Extended headers and devices: not what our archives have.
                _ => continue,
            };
            return Some(Member {
                prefix: text(&header[345..500]),
                name: text(&header[..100]),
                kind,
                perm: (octal(&header[100..108]) & 0o7777) as u16,
                uid: octal(&header[108..116]) as u32,
                gid: octal(&header[116..124]) as u32,
                mtime: octal(&header[136..148]) as i64,
            });
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// A member as an archiver writes it.
    pub fn member(name: &str, kind: u8, link: &str, perm: u16, data: &[u8]) -> Vec<u8> {
        let mut h = std::vec![0u8; BLOCK];
        h[..name.len()].copy_from_slice(name.as_bytes());
        h[100..107].copy_from_slice(format!("{perm:07o}").as_bytes());
        h[124..135].copy_from_slice(format!("{:011o}", data.len()).as_bytes());
        h[136..147].copy_from_slice(format!("{:011o}", 1_700_000_000).as_bytes());
        h[156] = kind;
        h[157..157 + link.len()].copy_from_slice(link.as_bytes());
        h[257..262].copy_from_slice(b"ustar");
        h.extend_from_slice(data);
        h.resize(h.len().next_multiple_of(BLOCK), 0);
        h
    }

    #[test]
    fn members_come_with_their_contents() {
        let archive = [
            member("./etc/", b'5', "", 0o755, b""),
            member("./etc/hosts", b'0', "", 0o644, &[b'h'; 700]),
            member("./sbin", b'2', "bin", 0o777, b""),
            std::vec![0; 1024],
        ]
        .concat();
        let all: Vec<_> = members(&archive).collect();
        assert_eq!(all.len(), 3);
        assert_eq!(
            (all[0].name, all[0].kind, all[0].perm),
            (&b"./etc/"[..], MemberKind::Directory, 0o755)
        );
        assert_eq!(all[1].kind, MemberKind::File(&[b'h'; 700]));
        assert_eq!(all[1].mtime, 1_700_000_000);
        assert_eq!(all[2].kind, MemberKind::Symlink(b"bin"));
    }

    #[test]
    fn a_truncated_archive_ends_early() {
        let whole = member("a", b'0', "", 0o644, &[1; 600]);
        assert_eq!(members(&whole[..600]).count(), 0);
        assert_eq!(members(b"not an archive").count(), 0);
    }
}
