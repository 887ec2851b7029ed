//! What a watcher's keys mean, byte by byte. Nothing that is typed goes any further: this is all
//! that a watcher's keyboard can do.

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// To leave.
    Leave,
    /// To see another part of a window that is larger than the terminal.
    Move(Direction),
    /// To see what is around the cursor again.
    Follow,
}

/// Where to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Towards the first line.
    Up,
    /// Towards the last line.
    Down,
    /// Towards the first column.
    Left,
    /// Towards the last column.
    Right,
}

/// The prefix of the fleet's tmux configuration: `C-b d` leaves, as the status line says.
const PREFIX: u8 = 0x02;
const INTERRUPT: u8 = 0x03;
const ESCAPE: u8 = 0x1b;
const BELL: u8 = 0x07;

/// Reads keys; answers of the terminal to questions, and pastes, are let go by.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    state: State,
    pasting: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Plain,
    /// After the prefix.
    Prefix,
    /// After an escape.
    Escape,
    /// Inside `ESC [`, with the number so far.
    Sequence(u16),
    /// Inside `ESC O`.
    Single,
    /// Inside a string that a terminal answers with, up to its end.
    Text,
    /// After an escape inside such a string.
    TextEscape,
}

impl Keys {
    /// What one more byte asks for.
    pub fn take(&mut self, byte: u8) -> Option<Wish> {
        let (next, wish) = self.step(byte);
        self.state = next;
        wish
    }

    fn step(&mut self, byte: u8) -> (State, Option<Wish>) {
        match self.state {
            State::Plain | State::Prefix if self.pasting && byte != ESCAPE => (State::Plain, None),
            State::Plain => plain(byte),
            State::Prefix if byte == b'd' => (State::Plain, Some(Wish::Leave)),
            State::Prefix => plain(byte),
            State::Escape => match byte {
                b'[' => (State::Sequence(0), None),
                b'O' => (State::Single, None),
                b']' | b'P' | b'X' | b'^' | b'_' => (State::Text, None),
                other if self.pasting => (if other == ESCAPE { State::Escape } else { State::Plain }, None),
                other => plain(other),
            },
            State::Sequence(number) => match byte {
                b'0'..=b'9' => {
                    let digit = u16::from(byte - b'0');
                    (State::Sequence(number.saturating_mul(10).saturating_add(digit)), None)
                }
                b'~' => (State::Plain, self.numbered(number)),
                // `1;5A` is an arrow with a modifier: what counts is how it ends.
                0x20..=0x3f => (State::Sequence(0), None),
                _ if self.pasting => (State::Plain, None),
                _ => (State::Plain, arrow(byte)),
            },
            State::Single => (State::Plain, if self.pasting { None } else { arrow(byte) }),
            State::Text => match byte {
                BELL => (State::Plain, None),
                ESCAPE => (State::TextEscape, None),
                // A terminal that never ended its answer must not take the way out away.
                INTERRUPT => (State::Plain, Some(Wish::Leave)),
                _ => (State::Text, None),
            },
            State::TextEscape => (if byte == b'\\' { State::Plain } else { State::Text }, None),
        }
    }

    fn numbered(&mut self, number: u16) -> Option<Wish> {
        match number {
            200 => self.pasting = true,
            201 => self.pasting = false,
            _ => {}
        }
        let wish = match number {
            5 => Wish::Move(Direction::Up),
            6 => Wish::Move(Direction::Down),
            1 | 7 => Wish::Follow,
            _ => return None,
        };
        (!self.pasting).then_some(wish)
    }
}

fn plain(byte: u8) -> (State, Option<Wish>) {
    match byte {
        b'q' | INTERRUPT => (State::Plain, Some(Wish::Leave)),
        PREFIX => (State::Prefix, None),
        ESCAPE => (State::Escape, None),
        _ => (State::Plain, None),
    }
}

/// What the letter at the end of an arrow key's sequence means.
fn arrow(letter: u8) -> Option<Wish> {
    match letter {
        b'A' => Some(Wish::Move(Direction::Up)),
        b'B' => Some(Wish::Move(Direction::Down)),
        b'C' => Some(Wish::Move(Direction::Right)),
        b'D' => Some(Wish::Move(Direction::Left)),
        b'H' => Some(Wish::Follow),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes(bytes: &[u8]) -> Vec<Wish> {
        let mut keys = Keys::default();
        bytes.iter().filter_map(|b| keys.take(*b)).collect()
    }

    #[test]
    fn there_are_three_ways_out() {
        for keys in ["q", "\x03", "\x02d", "xyz\x02\x02d", "\x1bq"] {
            assert_eq!(wishes(keys.as_bytes()), [Wish::Leave], "{keys:?}");
        }
        assert_eq!(wishes(b"\x02xd:kill-server\r\x02:"), []);
    }

    #[test]
    fn arrows_move_in_every_spelling_of_a_terminal() {
        use Direction::{Down, Left, Right, Up};
        let all = [Up, Down, Right, Left].map(Wish::Move);
        assert_eq!(wishes(b"\x1b[A\x1b[B\x1b[C\x1b[D"), all);
        assert_eq!(wishes(b"\x1bOA\x1bOB\x1bOC\x1bOD"), all);
        assert_eq!(wishes(b"\x1b[1;5A\x1b[5~\x1b[6~"), [all[0], all[0], all[1]]);
        assert_eq!(wishes(b"\x1b[H\x1b[1~\x1bOH"), [Wish::Follow; 3]);
    }

    #[test]
    fn what_a_terminal_answers_is_no_key() {
        let answers =
            b"\x1b[?62;22c\x1b[>41;370;0c\x1bP>|quick(1.2)q\x1b\\\x1b]11;rgb:qqqq\x07\x1b[I\x1b[O\x1b[3;4R";
        assert_eq!(wishes(answers), []);
        assert_eq!(wishes(b"\x1bP never ended \x03"), [Wish::Leave]);
    }

    #[test]
    fn a_paste_does_nothing() {
        assert_eq!(wishes(b"\x1b[200~quit\x03\x02d\x1b[A\x1b[201~"), []);
        assert_eq!(wishes(b"\x1b[200~quit\x1b[201~q"), [Wish::Leave]);
    }
}
