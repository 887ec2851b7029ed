//! What the holder's tmux server was started with, noted once it is up: by it a later look knows
//! whether a restart would change anything. Text to type and back.

use sha2::{Digest as _, Sha256};

use super::environment::hexadecimal;

/// No honest note is longer.
pub const LONGEST: usize = 1024;

/// The note of one start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// The boot.
    pub boot_id: String,
    /// The server, which is the unit's main process.
    pub pid: i32,
    /// SHA-256 of its configuration, in hexadecimal.
    pub conf: String,
    /// Of the holder's unit file.
    pub unit: String,
}

impl Started {
    /// Of a server that was started with files of that content.
    pub fn of(boot_id: String, pid: i32, conf: &[u8], unit: &[u8]) -> Self {
        let digest = |bytes: &[u8]| hexadecimal(Sha256::new_with_prefix(bytes));
        Self { boot_id, pid, conf: digest(conf), unit: digest(unit) }
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let Self { boot_id, pid, conf, unit } = self;
        format!("boot_id={boot_id}\npid={pid}\nconf={conf}\nunit={unit}\n")
    }

    /// The note of such a text; `None` where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let value = |key| super::value(text, key).map(|value| value.trim().to_owned());
        let digest = |key| value(key).filter(|d| d.len() == 64 && d.bytes().all(|b| b.is_ascii_hexdigit()));
        Some(Self {
            boot_id: value("boot_id")?,
            pid: value("pid")?.parse().ok().filter(|pid| *pid > 0)?,
            conf: digest("conf")?,
            unit: digest("unit")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_reads_back_from_its_text_and_half_of_one_is_none() {
        let started = Started::of("b".to_owned(), 7, b"conf", b"unit");
        let text = started.text();
        assert_eq!(Started::parse(&text), Some(started));
        for bad in
            ["", &text[..text.len() - 2], &text.replace("pid=7", "pid=0"), &text.replace("conf=", "x=")]
        {
            assert_eq!(Started::parse(bad), None, "{bad}");
        }
    }
}
