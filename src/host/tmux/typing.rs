//! What types into a pane: a paste, Enter, a command's characters; and the look that has to come
//! before. What is typed and when is decided elsewhere.
//!
//! The calls that type are handed the sender's lock as their standard input. tmux passes it on to
//! its server until it has read the call: so a sender that is killed, or a server that hangs,
//! keeps the next sender away from a pane into which something may still be typed.

use std::fs::File;
use std::sync::Arc;

use super::{Server, TmuxError, refused, text};

/// A pane as it was at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glimpse {
    /// tmux's id of the pane, `%3`.
    pub pane: String,
    /// Pid of its process.
    pub pid: i32,
    /// Whether that has ended.
    pub dead: bool,
    /// Column of the cursor: where a composer's text ends.
    pub column: u32,
    /// Whether somebody reads back in it, or chooses from a list of tmux's.
    pub in_mode: bool,
    /// Clients that look at it and can type, each with the seconds since its last key.
    pub typists: Vec<Typist>,
    /// Its screen as text.
    pub screen: String,
    /// The same with the lines joined that the terminal wrapped, and some of those above it.
    pub joined: String,
}

/// A client that can type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Typist {
    /// When it was attached, seconds since 1970.
    pub since: i64,
    /// When it sent its last key, or was attached, seconds since 1970.
    pub last: i64,
}

/// Whether a paste happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pasted {
    /// It did.
    Yes,
    /// It did not: the pane was no longer as it was seen.
    Moved,
}

/// Whose turn it is to type into a pane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// Ours, at the pane of that id.
    Ours(String),
    /// Somebody else's.
    Theirs {
        /// The pane's id.
        pane: String,
        /// Pid of who has it, where it says one.
        pid: Option<i32>,
    },
}

/// The pane's option that holds the pid of who types there.
const SENDER: &str = "@mosaic-sender";
const PANE: &str =
    "v:#{pane_id}:#{pane_pid}:#{pane_dead}:#{cursor_x}:#{pane_in_mode}:#{window_id}:#{pane_height}";
const CLIENT: &str = "c:#{window_id}:#{client_readonly}:#{client_created}:#{client_activity}";
/// Between what tmux says and what the program shows.
const SCREEN: &str = "---";
/// Lines above the screen in which a draft may begin.
const ABOVE: &str = "-100";

impl Server {
    /// Looks at the pane of exactly that session; `None` where the session is not there.
    pub fn glimpse(&self, session: &str) -> Result<Option<Glimpse>, TmuxError> {
        let Some(target) = self.own_pane(session)? else { return Ok(None) };
        let call = self.call(["display-message", "-p", "-t", &target, PANE, ";"]).args([
            "list-clients",
            "-F",
            CLIENT,
            ";",
            "display-message",
            "-p",
            "--",
            SCREEN,
            ";",
            "capture-pane",
            "-p",
            "-t",
            &target,
            ";",
            "capture-pane",
            "-p",
            "-J",
            "-S",
            ABOVE,
            "-t",
            &target,
        ]);
        match self.found(&call)? {
            Some(output) => {
                let said = text(output);
                parse(&said).map(Some).ok_or_else(|| TmuxError::unreadable(&said))
            }
            None => Ok(None),
        }
    }

    /// Takes the turn to type into that session's pane, unless somebody has it; `None` where the
    /// session is not there. Scripts take it, too.
    pub fn take_turn(&self, session: &str) -> Result<Option<Turn>, TmuxError> {
        let Some(target) = self.own_pane(session)? else { return Ok(None) };
        let own = std::process::id();
        let take = format!("set-option -p -o -t {target} {SENDER} {own}");
        let free = format!("#{{?{SENDER},0,1}}");
        let told = format!("#{{pane_id}}:#{{{SENDER}}}");
        let call = self.call(["if-shell", "-F", "-t", &target, &free, &take, ";"]);
        let Some(output) = self.found(&call.args(["display-message", "-p", "-t", &target, &told]))? else {
            return Ok(None);
        };
        let said = text(output);
        let (pane, holder) = said.trim_end().split_once(':').ok_or(TmuxError::Unreadable(said.clone()))?;
        Ok(Some(match holder == own.to_string() {
            true => Turn::Ours(pane.to_owned()),
            false => Turn::Theirs { pane: pane.to_owned(), pid: holder.parse().ok().filter(|pid| *pid > 0) },
        }))
    }

    /// Ends the turn at a pane of the process with that pid, if it is still that one's.
    pub fn end_turn(&self, pane: &str, pid: i32) -> Result<(), TmuxError> {
        let same = format!("#{{==:#{{{SENDER}}},{pid}}}");
        let end = format!("set-option -p -u -t {pane} {SENDER}");
        self.found(&self.call(["if-shell", "-F", "-t", pane, &same, &end])).map(drop)
    }

    /// Keeps a text in the server, under a name, for [`Server::paste`].
    pub fn load(&self, buffer: &str, body: &str) -> Result<(), TmuxError> {
        self.said(&self.call(["load-buffer", "-b", buffer, "-"]).input(body)).map(drop)
    }

    /// Pastes what was loaded, as one bracketed paste where the program asked for those, unless the
    /// pane's process or the column of its cursor are no longer those that were seen. The buffer is
    /// gone afterwards.
    pub fn paste(&self, buffer: &str, seen: &Glimpse, lock: &Arc<File>) -> Result<Pasted, TmuxError> {
        self.hand_over("paste-buffer -p -d -r", buffer, seen, lock)
    }

    /// The same with the characters as keys: to the program they are typed, not pasted.
    pub fn type_keys(&self, buffer: &str, seen: &Glimpse, lock: &Arc<File>) -> Result<Pasted, TmuxError> {
        self.hand_over("paste-buffer -d -r", buffer, seen, lock)
    }

    fn hand_over(
        &self,
        how: &str,
        buffer: &str,
        seen: &Glimpse,
        lock: &Arc<File>,
    ) -> Result<Pasted, TmuxError> {
        const MOVED: &str = "moved";
        let Glimpse { pane, pid, column, .. } = seen;
        let same = format!("#{{&&:#{{==:#{{pane_pid}},{pid}}},#{{==:#{{cursor_x}},{column}}}}}");
        let paste = format!("{how} -b {buffer} -t {pane}");
        let leave = format!("delete-buffer -b {buffer} ; display-message -p {MOVED}");
        let call = self.call(["if-shell", "-F", "-t", pane, &same, &paste, &leave]);
        let said = self.said(&call.stdin(Arc::clone(lock)))?;
        Ok(if said.trim() == MOVED { Pasted::Moved } else { Pasted::Yes })
    }

    /// Presses Enter: a carriage return, which goes to the program also while somebody reads back.
    pub fn enter(&self, buffer: &str, pane: &str, lock: &Arc<File>) -> Result<(), TmuxError> {
        let past_the_mode =
            format!("set-buffer -b {buffer} \"\\r\" ; paste-buffer -r -d -b {buffer} -t {pane}");
        let key = format!("send-keys -t {pane} -H 0d");
        let call = self.call(["if-shell", "-F", "-t", pane, "#{pane_in_mode}", &past_the_mode, &key]);
        self.said(&call.stdin(Arc::clone(lock))).map(drop)
    }

    /// Drops a buffer that a sender left; that there is none is fine.
    pub fn forget(&self, buffer: &str) -> Result<(), TmuxError> {
        let call = self.call(["delete-buffer", "-b", buffer]);
        let output = self.ask(&call)?;
        if output.status.success() || super::complaint(&output).starts_with("unknown buffer") {
            return Ok(());
        }
        Err(refused(&call, &output))
    }
}

/// A glimpse from what tmux said and the program showed; `None` where it is none.
pub fn parse(said: &str) -> Option<Glimpse> {
    let mut lines = said.split_inclusive('\n');
    let mut fields = lines.next()?.trim_end().strip_prefix("v:")?.split(':');
    let mut next = || fields.next();
    let mut seen = Glimpse {
        pane: next()?.to_owned(),
        pid: next()?.parse().ok()?,
        dead: next()? == "1",
        column: next()?.parse().ok()?,
        in_mode: next()?.parse::<u32>().ok()? > 0,
        typists: Vec::new(),
        screen: String::new(),
        joined: String::new(),
    };
    let window = next()?;
    let height = next()?.parse().ok()?;
    for line in lines.by_ref() {
        let line = line.trim_end();
        if line == SCREEN {
            break;
        }
        let mut fields = line.strip_prefix("c:")?.split(':');
        let (at, read_only) = (fields.next()?, fields.next()? == "1");
        let (since, last) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        if at == window && !read_only {
            seen.typists.push(Typist { since, last });
        }
    }
    seen.screen = lines.by_ref().take(height).collect();
    seen.joined = lines.collect();
    Some(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glimpse_is_read_with_those_who_can_type_there() {
        let said = "v:%4:77:0:9:0:@3:4\nc:@3:0:100:105\nc:@3:1:100:100\nc:@1:0:1:2\n---\nhello\n---\n> x\ny\nabove\nhello\n---\n> xy\n";
        let seen = parse(said).expect("it reads");
        assert_eq!((seen.pane.as_str(), seen.pid, seen.dead, seen.column), ("%4", 77, false, 9));
        assert_eq!(seen.typists, [Typist { since: 100, last: 105 }]);
        assert_eq!(seen.screen, "hello\n---\n> x\ny\n");
        assert_eq!(seen.joined, "above\nhello\n---\n> xy\n");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(said in "(v:%[0-9]?:[0-9]{0,12}:[01]?:[0-9]{0,12}:.?:@[0-9]:[0-9]{0,20}\n)?(c:[@0-9:]{0,9}\n|---\n|.{0,9}\n){0,6}") {
            let _ = parse(&said);
        }
    }

    #[test]
    fn what_is_no_glimpse_is_none() {
        for said in ["", "v::::::\n---\n", "v:%4:x:0:9:0:@3:1\n---\n", "v:%4:7:0:9:0:@3:1\nhello\n---\n"] {
            assert_eq!(parse(said), None, "{said:?}");
        }
        let told = TmuxError::unreadable("v:%4:x:0:9:0:@3:1\n---\nplanted\n").to_string();
        assert!(told.contains("v:%4:x") && !told.contains("planted"), "{told}");
    }
}
