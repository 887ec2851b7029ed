//! A line editor: bytes of a raw terminal in, a draft and events out. Pure, so that every way in
//! which a paste can arrive is a test without a terminal.

/// The longest draft; a message of the fleet has at most a quarter of it.
pub const LONGEST: usize = 4 << 20;
const PASTE_ENDS: &[u8] = b"\x1b[201~";

/// What a person or a program asked for by a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Enter: the draft is meant.
    Enter,
    /// Ctrl-C on a draft, which is gone.
    Cleared,
    /// Ctrl-C without a draft.
    Interrupt,
    /// Ctrl-D without a draft.
    End,
}

/// The draft and what is half-read.
#[derive(Debug, Default)]
pub struct Editor {
    draft: String,
    mode: Mode,
    /// Bytes of a character or a paste that is not complete.
    pending: Vec<u8>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Typed,
    /// After ESC.
    Escape,
    /// After ESC [, with the parameters so far.
    Sequence(Vec<u8>),
    /// After ESC O: one more byte.
    Function,
    /// Between the marks of a bracketed paste.
    Paste,
}

impl Editor {
    /// What was typed and pasted and not submitted.
    pub fn draft(&self) -> &str {
        &self.draft
    }

    /// Whether a paste has begun and not ended.
    pub fn pasting(&self) -> bool {
        self.mode == Mode::Paste
    }

    /// Takes the draft.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.draft)
    }

    /// Takes one byte.
    pub fn feed(&mut self, byte: u8) -> Option<Event> {
        match &mut self.mode {
            Mode::Typed => return self.typed(byte),
            Mode::Escape => self.escape(byte),
            Mode::Function => self.mode = Mode::Typed,
            Mode::Sequence(seen) => match byte {
                0x20..=0x3f if seen.len() < 16 => seen.push(byte),
                b'~' if seen == b"200" => self.mode = Mode::Paste,
                _ => self.mode = Mode::Typed,
            },
            Mode::Paste => self.paste(byte),
        }
        None
    }

    fn typed(&mut self, byte: u8) -> Option<Event> {
        match byte {
            0x1b => self.mode = Mode::Escape,
            b'\r' | b'\n' => return Some(Event::Enter),
            0x03 if self.draft.is_empty() => return Some(Event::Interrupt),
            0x03 => {
                self.draft = String::new();
                return Some(Event::Cleared);
            }
            0x04 if self.draft.is_empty() => return Some(Event::End),
            0x08 | 0x7f => drop(self.draft.pop()),
            0x15 => self.draft.clear(),
            b'\t' | 0x20.. => self.character(byte),
            _ => {}
        }
        None
    }

    fn escape(&mut self, byte: u8) {
        self.mode = match byte {
            b'[' => Mode::Sequence(Vec::new()),
            b'O' => Mode::Function,
            0x1b => Mode::Escape,
            b'\r' => {
                // Alt-Enter: a new line within the draft.
                self.append("\n");
                Mode::Typed
            }
            _ => Mode::Typed,
        };
    }

    fn character(&mut self, byte: u8) {
        self.pending.push(byte);
        match std::str::from_utf8(&self.pending) {
            Err(error) if error.error_len().is_none() => return,
            _ => {}
        }
        let bytes = std::mem::take(&mut self.pending);
        // Some of those beyond ASCII are a terminal's to obey.
        self.append(&String::from_utf8_lossy(&bytes).replace(|c: char| c.is_control() && c != '\t', ""));
    }

    fn paste(&mut self, byte: u8) {
        self.pending.push(byte);
        if byte != b'~' || !self.pending.ends_with(PASTE_ENDS) {
            // What is longer than a draft can be is not kept; the end mark still has to be seen.
            if self.pending.len() > LONGEST + PASTE_ENDS.len() {
                self.pending.remove(LONGEST);
            }
            return;
        }
        self.mode = Mode::Typed;
        let mut bytes = std::mem::take(&mut self.pending);
        bytes.truncate(bytes.len() - PASTE_ENDS.len());
        let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n").replace('\r', "\n");
        self.append(&text.replace(|c: char| c.is_control() && c != '\n' && c != '\t', ""));
    }

    fn append(&mut self, text: &str) {
        let room = LONGEST.saturating_sub(self.draft.len()).min(text.len());
        let end = (0..=room).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        self.draft.push_str(&text[..end]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds bytes; each Enter takes the draft.
    fn feed(editor: &mut Editor, bytes: &[u8]) -> (Vec<String>, Vec<Event>) {
        let (mut messages, mut events) = (Vec::new(), Vec::new());
        for byte in bytes {
            match editor.feed(*byte) {
                Some(Event::Enter) => messages.push(editor.take()),
                Some(event) => events.push(event),
                None => {}
            }
        }
        (messages, events)
    }

    fn messages(bytes: &[u8]) -> Vec<String> {
        feed(&mut Editor::default(), bytes).0
    }

    #[test]
    fn a_line_is_submitted_by_enter() {
        assert_eq!(messages(b"hello\rthere\n"), ["hello", "there"]);
        assert_eq!(messages("grüße 🙂\r".as_bytes()), ["grüße 🙂"]);
    }

    #[test]
    fn a_paste_of_many_lines_is_one_message_whatever_its_line_ends() {
        assert_eq!(messages(b"\x1b[200~one\rtwo\nthree\r\nfour\x1b[201~\r"), ["one\ntwo\nthree\nfour"]);
    }

    #[test]
    fn a_paste_is_added_to_what_was_typed() {
        assert_eq!(messages(b"see \x1b[200~a\rb\x1b[201~ there\r"), ["see a\nb there"]);
    }

    #[test]
    fn a_paste_cannot_press_keys() {
        assert_eq!(messages(b"\x1b[200~a\x03\x04\x1b[A\x7fb\x1b[201~\r"), ["a[Ab"]);
    }

    #[test]
    fn without_the_marks_every_line_is_a_message() {
        assert_eq!(messages(b"a\rb\rc\r"), ["a", "b", "c"]);
    }

    #[test]
    fn keys_that_mean_nothing_here_leave_no_trace() {
        assert_eq!(messages(b"a\x1b[A\x1b[1;5C\x1bOP\x1b[3~\x01b\r"), ["ab"]);
        assert_eq!(messages("a\u{9b}2Jb\r".as_bytes()), ["a2Jb"]);
    }

    #[test]
    fn a_draft_is_edited_and_cleared() {
        assert_eq!(messages("añ\x7f\x7fb\r".as_bytes()), ["b"]);
        assert_eq!(messages(b"gone\x15here\r"), ["here"]);
        assert_eq!(messages(b"a\x1b\rb\r"), ["a\nb"]);
        let mut editor = Editor::default();
        let (_, events) = feed(&mut editor, b"draft\x04\x03\x03\x04");
        assert_eq!(events, [Event::Cleared, Event::Interrupt, Event::End]);
        assert_eq!(editor.draft(), "");
    }

    #[test]
    fn bytes_that_are_no_character_are_marked_and_hold_nothing_up() {
        assert_eq!(messages(b"a\xffb\xc3\r"), ["a\u{fffd}b"]);
    }

    #[test]
    fn a_mebibyte_in_one_paste_is_one_message() {
        let text = "0123456789abcde\n".repeat(1 << 16);
        let bytes = [b"\x1b[200~", text.replace('\n', "\r").as_bytes(), b"\x1b[201~\r"].concat();
        assert_eq!(messages(&bytes), [text]);
    }

    proptest! {
        #[test]
        fn a_paste_arrives_as_it_is_however_it_is_cut(text in "[a-z \n\u{e4}\u{1f642}]{0,80}", before in "[a-z]{0,5}") {
            let bytes = [before.as_bytes(), b"\x1b[200~", text.as_bytes(), b"\x1b[201~\r"].concat();
            prop_assert_eq!(messages(&bytes), [format!("{before}{text}")]);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            messages(&bytes);
        }
    }
}
