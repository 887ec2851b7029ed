//! The mounts that this process sees.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::doctor::Mount;

/// Where they stand.
pub const TABLE: &str = "/proc/self/mountinfo";

/// All of them, in the order in which they were made. The table is read to its end: the kernel hands
/// it out in pieces.
pub fn all() -> io::Result<Vec<Mount>> {
    Ok(parse(&String::from_utf8_lossy(&fs::read(TABLE)?)))
}

/// Those of such a table; a line that is none is passed over. Users mount things, too, and name them.
pub fn parse(text: &str) -> Vec<Mount> {
    let mount = |line: &str| {
        let (own, rest) = line.split_once(" - ")?;
        let mut own = own.split(' ').skip(4);
        let (point, options) = (own.next()?, own.next()?);
        Some(Mount {
            point: PathBuf::from(unescape(point)),
            kind: rest.split(' ').next()?.to_owned(),
            options: options.split(',').map(str::to_owned).collect(),
        })
    };
    text.lines().filter_map(mount).collect()
}

/// The last mount of the deepest point that a path is below.
pub fn holding<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let above = mounts.iter().filter(|m| path.starts_with(&m.point));
    above.max_by_key(|m| m.point.components().count())
}

/// The kernel writes blanks and the like as three octal digits.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        match after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                out.push(char::from(byte));
                rest = &after[3..];
            }
            None => {
                out.push('\\');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_that_holds_a_path_is_the_deepest_and_of_those_the_last() {
        let text = "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
            30 21 0:30 / /home rw - autofs systemd-1 rw\n\
            31 30 0:31 / /home rw,noexec - nfs4 s:/home rw\n\
            32 21 8:2 / /mnt/a\\040b rw - xfs /dev/sdb rw\nodd\n";
        let all = parse(text);
        let kind = |path: &str| holding(&all, Path::new(path)).map(|m| m.kind.clone());
        assert_eq!(kind("/home/u").as_deref(), Some("nfs4"));
        assert_eq!(kind("/homes/u").as_deref(), Some("ext4"));
        assert_eq!(kind("/mnt/a b/x").as_deref(), Some("xfs"));
        assert_eq!(
            holding(&all, Path::new("/home/u")).map(|m| m.options.clone()),
            Some(vec!["rw".into(), "noexec".into()])
        );
    }

    #[test]
    fn a_table_of_any_length_is_read_to_its_end() {
        let lines = fs::read_to_string(TABLE).expect("there").lines().count();
        assert_eq!(all().expect("read").len(), lines);
    }
}
