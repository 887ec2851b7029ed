//! What `mosaic yolo` noted of the runtime that it became: whose process, which version. Text to type
//! and back; no file is opened here.

/// No honest note is longer.
pub const LONGEST: usize = 1024;
/// No honest version is longer.
const LONGEST_VERSION: usize = 64;

/// The note of one launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launched {
    /// The process, which the runtime has taken over.
    pub pid: i32,
    /// The boot it belongs to.
    pub boot_id: String,
    /// The runtime's name.
    pub runtime: String,
    /// The version of what was launched, or why it is not known.
    pub version: Result<String, String>,
}

impl Launched {
    /// The file's text.
    pub fn text(&self) -> String {
        let version = match &self.version {
            Ok(version) => format!("version={version}"),
            Err(why) => format!("unknown={}", plain(why)),
        };
        format!("pid={}\nboot_id={}\nruntime={}\n{version}\n", self.pid, self.boot_id, self.runtime)
    }

    /// The note of such a text; `None` where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let value = |key| super::value(text, key).map(str::trim);
        let version = match value("version") {
            Some(version) if is_version(version) => Ok(version.to_owned()),
            Some(_) => Err("what was noted at its launch is no version".to_owned()),
            None => Err(plain(value("unknown")?)),
        };
        Some(Self {
            pid: value("pid")?.parse().ok().filter(|pid| *pid > 0)?,
            boot_id: value("boot_id")?.to_owned(),
            runtime: value("runtime")?.to_owned(),
            version,
        })
    }
}

/// Whether a text can be shown as a version: short, and of what versions are written with.
pub fn is_version(text: &str) -> bool {
    let written_with = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '_');
    !text.is_empty() && text.len() <= LONGEST_VERSION && text.chars().all(written_with)
}

/// Others' words, as a line may show them, without blanks where they are cut off.
fn plain(why: &str) -> String {
    let shown: String = why.chars().filter(|c| !c.is_control()).take(200).collect();
    shown.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let known = Launched {
            pid: 7,
            boot_id: "b".to_owned(),
            runtime: "claude".to_owned(),
            version: Ok("2.0.1-rc.1+x_y".to_owned()),
        };
        assert_eq!(Launched::parse(&known.text()), Some(known.clone()));
        let unknown = Launched { version: Err("no\npid=9\u{1b}[31m".to_owned()), ..known };
        let read = Launched::parse(&unknown.text()).expect("a note");
        assert_eq!((read.pid, read.version), (7, Err("nopid=9[31m".to_owned())));
        assert!(unknown.text().len() < LONGEST);
    }

    #[test]
    fn what_is_no_version_is_not_shown_as_one() {
        for odd in ["", "1\u{1b}[31m", "1 2", "ä", &"1".repeat(65)] {
            assert!(!is_version(odd), "{odd:?}");
            let text = format!("pid=7\nboot_id=b\nruntime=claude\nversion={odd}\n");
            let version = Launched::parse(&text).expect("a note").version;
            assert_eq!(version, Err("what was noted at its launch is no version".to_owned()));
        }
        for odd in
            ["", "pid=7\n", "pid=-1\nboot_id=b\nruntime=x\nversion=1\n", "pid=x\nboot_id=b\nversion=1\n"]
        {
            assert_eq!(Launched::parse(odd), None, "{odd:?}");
        }
    }
}
