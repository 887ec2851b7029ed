//! Environment files: one text that systemd and a POSIX shell read alike, and systemd's reading of
//! texts that people write. Pure text, the standard library alone: what stands behind every agent
//! for days uses it. Nothing here shows a value, since a value may be a secret.
//!
//! The two readers have different grammars. systemd's `EnvironmentFile=` knows no expansion, takes
//! `#` and `;` for comments at the beginning of an assignment only and goes on after a mistake; a
//! shell expands and runs. The writer keeps to what means the same to both.

mod read;
mod write;

pub use read::{Unreadable, parse, read};
pub use write::{LONGEST, LONGEST_FILE, Refused, Why, check, write};

/// The characters that a backslash unescapes between double quotes, to systemd and to a shell.
const ESCAPED: [u8; 4] = [b'"', b'\\', b'$', b'`'];

/// Whether systemd counts the character as valid text. It refuses the code points that Unicode
/// reserves as noncharacters, and with one of them the whole file.
fn is_text(c: char) -> bool {
    let code = u32::from(c);
    c != '\0' && !(0xFDD0..=0xFDEF).contains(&code) && code & 0xFFFE != 0xFFFE
}
