//! Acknowledgements: one JSON line for each prompt that a runtime took, its text and its type.
//!
//! All adapters write the same line, so that whoever sent a prompt finds it by its digest whatever
//! the runtime is. No file is opened here.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The longest line that is read.
pub const LONGEST: usize = 4096;
/// How far a file of them grows before its earlier half goes.
pub const LONGEST_FILE: usize = 1 << 20;

/// What a runtime acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// It began a turn with this prompt.
    Prompt,
    /// It took the prompt while it was busy, and will begin a turn with it later.
    Queued,
    /// It began a new conversation.
    Reset,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// When, RFC 3339.
    pub ts: String,
    /// What.
    #[serde(default = "prompt")]
    pub event: Event,
    /// Id of the message, where the runtime was told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// [`digest`] of the prompt; a reset has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Pid of the runtime, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// Whose agent it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// On which machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

fn prompt() -> Event {
    Event::Prompt
}

/// By what a prompt is found again: SHA-256, in hex, of its text without white space at its ends,
/// with `\n` for every line end and four spaces for a tab, since terminals and runtimes change these.
pub fn digest(prompt: &str) -> String {
    let text = prompt.replace("\r\n", "\n").replace('\r', "\n").replace('\t', "    ");
    Sha256::digest(text.trim().as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

/// The line of an acknowledgement, with its end.
pub fn line(ack: &Ack) -> Result<String, serde_json::Error> {
    serde_json::to_string(ack).map(|json| json + "\n")
}

/// Every acknowledgement of a file's bytes; lines that are none, and a last one without its end,
/// are passed over.
pub fn parse(bytes: &[u8]) -> Vec<Ack> {
    bytes
        .split_inclusive(|b| *b == b'\n')
        .filter_map(|line| line.strip_suffix(b"\n"))
        .filter(|line| line.len() <= LONGEST)
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_prompt_is_found_again_whatever_a_terminal_did_to_its_line_ends() {
        assert_eq!(digest("a\r\nb\rc\n"), digest("a\nb\nc"));
        assert_eq!(digest("a\tb"), digest("a    b"));
        assert_ne!(digest("a\nb"), digest("ab"));
        assert_eq!(digest(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn lines_of_other_writers_are_read_and_broken_ones_passed_over() {
        let bytes = b"{\"ts\":\"t\",\"sha256\":\"s\",\"more\":1}\nnot json\n{\"ts\":\"u\",\"event\":\"reset\"}\n{\"ts\":\"cut";
        let acks = parse(bytes);
        assert_eq!(acks.len(), 2);
        assert_eq!((acks[0].event, acks[0].sha256.as_deref()), (Event::Prompt, Some("s")));
        assert_eq!(acks[1].event, Event::Reset);
        assert_eq!(parse(line(&acks[0]).expect("a line").as_bytes()), acks[..1]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }
    }
}
