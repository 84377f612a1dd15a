//! `-o` lists: which words are flags of mount(2), and which the file system gets as its data.

/// What mount(2) takes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct MountOptions {
    pub flags: libc::c_ulong,
    /// Words that are no flags, joined by commas.
    pub data: String,
}

/// Words that set (`true`) or clear flags.
const WORDS: &[(&str, libc::c_ulong, bool)] = &[
    ("ro", libc::MS_RDONLY, true),
    ("rw", libc::MS_RDONLY, false),
    ("nosuid", libc::MS_NOSUID, true),
    ("suid", libc::MS_NOSUID, false),
    ("nodev", libc::MS_NODEV, true),
    ("dev", libc::MS_NODEV, false),
    ("noexec", libc::MS_NOEXEC, true),
    ("exec", libc::MS_NOEXEC, false),
    ("sync", libc::MS_SYNCHRONOUS, true),
    ("async", libc::MS_SYNCHRONOUS, false),
    ("dirsync", libc::MS_DIRSYNC, true),
    ("remount", libc::MS_REMOUNT, true),
    ("bind", libc::MS_BIND, true),
    ("rbind", libc::MS_BIND | libc::MS_REC, true),
    ("move", libc::MS_MOVE, true),
    ("noatime", libc::MS_NOATIME, true),
    ("atime", libc::MS_NOATIME, false),
    ("nodiratime", libc::MS_NODIRATIME, true),
    ("diratime", libc::MS_NODIRATIME, false),
    ("relatime", libc::MS_RELATIME, true),
    ("norelatime", libc::MS_RELATIME, false),
    ("strictatime", libc::MS_STRICTATIME, true),
    ("silent", libc::MS_SILENT, true),
    ("loud", libc::MS_SILENT, false),
    ("private", libc::MS_PRIVATE, true),
    ("rprivate", libc::MS_PRIVATE | libc::MS_REC, true),
    ("shared", libc::MS_SHARED, true),
    ("rshared", libc::MS_SHARED | libc::MS_REC, true),
    ("slave", libc::MS_SLAVE, true),
    ("rslave", libc::MS_SLAVE | libc::MS_REC, true),
];

/// Words for fstab's readers, of no concern to the kernel.
const IGNORED: &[&str] = &[
    "auto", "noauto", "user", "nouser", "users", "nofail", "_netdev",
];

impl MountOptions {
    /// Adds a list such as `ro,noexec,size=1m`; later words override earlier ones.
    pub fn add(&mut self, list: &str) {
        for word in list.split(',').filter(|word| !word.is_empty()) {
            if word == "defaults" {
                self.flags &= !(libc::MS_RDONLY
                    | libc::MS_NOSUID
                    | libc::MS_NODEV
                    | libc::MS_NOEXEC
                    | libc::MS_SYNCHRONOUS);
            } else if let Some((_, flag, set)) = WORDS.iter().find(|(name, ..)| *name == word) {
                if *set {
                    self.flags |= flag;
                } else {
                    self.flags &= !flag;
                }
            } else if !IGNORED.contains(&word) && !word.starts_with("x-") {
                if !self.data.is_empty() {
                    self.data.push(',');
                }
                self.data.push_str(word);
            }
        }
    }

    pub fn has(&self, flag: libc::c_ulong) -> bool {
        self.flags & flag != 0
    }

    /// True for calls that change or copy an existing mount and so need no type.
    pub fn needs_no_type(&self) -> bool {
        let propagation = libc::MS_PRIVATE | libc::MS_SHARED | libc::MS_SLAVE;
        self.has(libc::MS_BIND | libc::MS_REMOUNT | libc::MS_MOVE | propagation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(lists: &[&str]) -> MountOptions {
        let mut options = MountOptions::default();
        lists.iter().for_each(|list| options.add(list));
        options
    }

    #[test]
    fn words_become_flags_and_the_rest_is_data() {
        let options = parsed(&["ro,noexec,size=1m,mode=0700"]);
        assert_eq!(options.flags, libc::MS_RDONLY | libc::MS_NOEXEC);
        assert_eq!(options.data, "size=1m,mode=0700");
    }

    #[test]
    fn later_words_win() {
        assert_eq!(parsed(&["ro", "rw,nosuid", "suid"]).flags, 0);
        assert_eq!(parsed(&["ro,noexec,defaults"]).flags, 0);
    }

    #[test]
    fn words_for_fstab_are_dropped() {
        assert_eq!(
            parsed(&["noauto,user,x-systemd.a=b"]),
            MountOptions::default()
        );
    }

    #[test]
    fn binding_needs_no_type() {
        assert!(parsed(&["bind"]).needs_no_type());
        assert!(!parsed(&["ro"]).needs_no_type());
    }
}
