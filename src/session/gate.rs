//! The gate: a pane's first step waits here until its supervisor has it in the unit's cgroup.
//!
//! A socket in `fleet/run` that only the user can reach. The pane connects and waits for one byte;
//! the connection closes on exec, so its end tells the supervisor that the runtime has begun, and
//! text before the end says why it has not. A supervisor that dies closes the gate, and the pane
//! ends with it: nothing ever runs outside its unit.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

use crate::layout::Layout;
use crate::names::AgentName;

/// How long a pane waits for its supervisor.
const PANE_PATIENCE: Duration = Duration::from_secs(30);
/// The longest complaint that a pane can make.
const LONGEST: usize = 2048;
/// Before the code with which the pane ends, in a line before its words.
const CODE: &str = "exit=";

/// The supervisor's side.
pub struct Gate(UnixListener);

/// One pane that waits at the gate.
pub struct Waiting {
    stream: UnixStream,
    /// Its pid, as the kernel says.
    pub pid: i32,
}

impl Gate {
    /// Opens the gate of `agent`.
    pub fn open(layout: &Layout, agent: &AgentName) -> io::Result<Self> {
        let name = near(layout, agent)?;
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&name)?;
        listener.set_nonblocking(true)?;
        Ok(Self(listener))
    }

    /// To wait for a pane.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// A pane that has come, if it is one of this user's.
    pub fn accept(&self) -> io::Result<Option<Waiting>> {
        let stream = match self.0.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        let peer = getsockopt(&stream, PeerCredentials)?;
        if peer.uid() != nix::unistd::geteuid().as_raw() {
            return Ok(None);
        }
        Ok(Some(Waiting { stream, pid: peer.pid() }))
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Ok(address) = self.0.local_addr()
            && let Some(path) = address.as_pathname()
        {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Waiting {
    /// Lets the pane go on.
    pub fn let_in(&mut self) -> io::Result<()> {
        self.stream.write_all(b"g")
    }

    /// To wait for what the pane says.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// What the pane says once it is readable: nothing when the runtime has begun.
    pub fn outcome(self) -> io::Result<Option<Complaint>> {
        let mut text = Vec::new();
        self.stream.take(LONGEST as u64).read_to_end(&mut text)?;
        Ok(Complaint::parse(&String::from_utf8_lossy(&text)))
    }
}

/// Why a pane did not become the runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// With which code it ended; a pane of an earlier version does not say.
    pub code: Option<u8>,
    /// Why, for people.
    pub why: String,
}

impl Complaint {
    /// Reads what a pane says; nothing where it says nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let code = text.strip_prefix(CODE).and_then(|rest| rest.split_once('\n'));
        let (code, why) = match code.and_then(|(code, why)| Some((code.parse().ok()?, why))) {
            Some((code, why)) => (Some(code), why),
            None => (None, text),
        };
        (!text.is_empty()).then(|| Self { code, why: why.trim().to_owned() })
    }
}

/// The pane's side: says why it does not become the runtime, and with which code it ends.
pub fn complain(mut supervisor: UnixStream, code: u8, why: &str) {
    // One that has gone needs no reason.
    let _ = supervisor.write_all(format!("{CODE}{code}\n{why}").as_bytes());
}

/// The pane's side: waits to be let in. Keep what it returns open until exec.
pub fn wait_at(layout: &Layout, agent: &AgentName) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(near(layout, agent)?)?;
    stream.set_read_timeout(Some(PANE_PATIENCE))?;
    let mut go = [0];
    stream.read_exact(&mut go)?;
    Ok(stream)
}

/// The gate's path from the working directory, which becomes its folder: a socket's address is short (108
/// bytes), and a home may be deep.
fn near(layout: &Layout, agent: &AgentName) -> io::Result<PathBuf> {
    std::env::set_current_dir(layout.run())?;
    Ok(layout.gate(agent).file_name().map_or_else(PathBuf::new, PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_has_its_code_and_one_of_an_earlier_version_has_none() {
        let parsed = |text: &str| Complaint::parse(text).map(|c| (c.code, c.why));
        assert_eq!(parsed("exit=78\na: UMASK is wrong\n"), Some((Some(78), "a: UMASK is wrong".to_owned())));
        assert_eq!(parsed("a: UMASK is wrong"), Some((None, "a: UMASK is wrong".to_owned())));
        assert_eq!(parsed("exit=999\nx"), Some((None, "exit=999\nx".to_owned())));
        assert_eq!(parsed(""), None);
    }
}
