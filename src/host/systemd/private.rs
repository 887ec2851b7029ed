//! The manager's own socket, by which it is reached where there is no bus.
//!
//! systemd signs what it sends there with its well-known name, where D-Bus has unique names and zbus
//! takes nothing else. So a name that zbus takes is put in its place on the way in; nobody reads it.

use std::io::{self, Read, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use async_trait::async_trait;
use zbus::Message;
use zbus::connection::socket::{BoxedSplit, ReadHalf, Split, WriteHalf};
use zruntime::{AsyncIo, Shared, SharedRuntime};

/// What a message has before its header fields; their length stands at its end.
const FIXED: usize = 16;
/// The longest message D-Bus allows.
const LONGEST: usize = 128 << 20;
/// The header field that holds the sender's name.
const SENDER: u8 = 7;

type Stream = AsyncIo<UnixStream, Shared>;

/// Both halves of a connection to the manager's own socket.
pub(super) fn halves(runtime: &SharedRuntime, stream: UnixStream) -> io::Result<BoxedSplit> {
    let stream = Arc::new(AsyncIo::new(runtime, stream)?);
    let incoming =
        Incoming { stream: Arc::clone(&stream), raw: Vec::new(), ready: Vec::new(), handed_over: 0 };
    Ok(Split::new(Box::new(incoming), Box::new(Outgoing { stream })))
}

/// What the manager sends.
#[derive(Debug)]
struct Incoming {
    stream: Arc<Stream>,
    /// As it came: the beginning of a message, or of a line of the handshake.
    raw: Vec<u8>,
    /// Whole messages and lines as zbus takes them, and how much of them it has.
    ready: Vec<u8>,
    handed_over: usize,
}

#[async_trait]
impl ReadHalf for Incoming {
    async fn recvmsg(&mut self, into: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        loop {
            let mut rest = self.ready.get(self.handed_over..).unwrap_or_default();
            if !rest.is_empty() {
                let taken = rest.read(into)?;
                self.handed_over += taken;
                return Ok((taken, Vec::new()));
            }
            let mut chunk = [0; 16 * 1024];
            let read = self.stream.read_with(|mut stream| stream.read(&mut chunk)).await?;
            if read == 0 {
                return Ok((0, Vec::new()));
            }
            self.raw.extend_from_slice(chunk.get(..read).unwrap_or_default());
            self.ready.clear();
            self.handed_over = 0;
            let whole = adapt(&mut self.raw)?;
            self.ready.extend(self.raw.drain(..whole));
        }
    }
}

/// What we send.
#[derive(Debug)]
struct Outgoing {
    stream: Arc<Stream>,
}

#[async_trait]
impl WriteHalf for Outgoing {
    async fn sendmsg(&mut self, bytes: &[u8], _: &[BorrowedFd<'_>]) -> io::Result<usize> {
        self.stream.write_with(|mut stream| stream.write(bytes)).await
    }

    async fn send_messages(&mut self, messages: &[Message]) -> zbus::Result<()> {
        let all: Vec<u8> = messages.iter().flat_map(|m| m.data().bytes()).copied().collect();
        let mut rest = all.as_slice();
        while !rest.is_empty() {
            let sent = self.sendmsg(rest, &[]).await?;
            rest = rest.get(sent..).unwrap_or_default();
        }
        Ok(())
    }

    async fn close(&mut self) -> io::Result<()> {
        self.stream.get_ref().shutdown(std::net::Shutdown::Both)
    }
}

/// Renames the sender of every whole message in `raw`; how many bytes are whole messages and lines.
pub fn adapt(raw: &mut [u8]) -> io::Result<usize> {
    let mut whole = 0;
    while let Some(rest) = raw.get_mut(whole..) {
        let length = match rest.first() {
            // The byte order, by which every message begins and no line of the handshake does.
            Some(b'l' | b'B') => match message_length(rest)? {
                Some(length) => length,
                None => break,
            },
            Some(_) => match rest.iter().position(|byte| *byte == b'\n') {
                Some(end) => end + 1,
                None => break,
            },
            None => break,
        };
        let Some(piece) = rest.get_mut(..length) else { break };
        rename_sender(piece);
        whole += length;
    }
    Ok(whole)
}

/// How long the message that `bytes` begin with is; `None` while that is not there yet.
fn message_length(bytes: &[u8]) -> io::Result<Option<usize>> {
    let (Some(body), Some(fields)) = (number(bytes, 4), number(bytes, 12)) else { return Ok(None) };
    let length = FIXED + fields.next_multiple_of(8) + body;
    if length > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a message longer than D-Bus allows"));
    }
    Ok(Some(length))
}

/// Puts a colon in the place of the first byte of a sender's name: that makes it a unique one. What is
/// not a message, or not well formed, stays as it is: zbus will say so.
fn rename_sender(message: &mut [u8]) {
    if let Some(at) = sender_at(message)
        && let Some(first) = message.get_mut(at)
    {
        *first = b':';
    }
}

/// Where the sender's name begins.
fn sender_at(message: &[u8]) -> Option<usize> {
    if !matches!(message.first()?, b'l' | b'B') {
        return None;
    }
    let end = FIXED + number(message, 12)?;
    let mut at = FIXED;
    while at < end {
        // A field: its code, the signature of its value (one letter, between its length and a zero),
        // the value.
        let (code, kind) = (*message.get(at)?, *message.get(at + 2)?);
        let value = at + 4;
        at = match kind {
            b's' | b'o' if code == SENDER => return Some(value + 4),
            b's' | b'o' => value + 4 + number(message, value)? + 1,
            b'g' => value + 1 + usize::from(*message.get(value)?) + 1,
            b'u' => value + 4,
            _ => return None,
        }
        .next_multiple_of(8);
    }
    None
}

/// The 32-bit number at that place, in the message's own byte order.
fn number(message: &[u8], at: usize) -> Option<usize> {
    let bytes = message.get(at..at + 4)?.try_into().ok()?;
    let number =
        if message.first() == Some(&b'B') { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
    usize::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use zbus::wire::Endian;

    use super::*;

    /// A message as zbus takes it, and the same as systemd sends it.
    fn message(order: Endian, body: &str) -> (Vec<u8>, Vec<u8>) {
        let built = Message::signal("/org/freedesktop/systemd1", "org.test.Interface", "Some")
            .endian(order)
            .sender(":rg.freedesktop.systemd1")
            .destination("org.test.Us")
            .build(&body)
            .expect("a message");
        let taken = built.data().bytes().to_vec();
        let at = taken.windows(2).position(|pair| pair == b":r").expect("the sender");
        let mut sent = taken.clone();
        sent[at] = b'o';
        (taken, sent)
    }

    #[test]
    fn the_senders_name_becomes_a_unique_one_and_nothing_else_changes() {
        for order in [Endian::Little, Endian::Big] {
            let (taken, sent) = message(order, "a body that says \u{7}\u{1}s\0org.freedesktop.systemd1");
            let mut raw = sent;
            assert_eq!(adapt(&mut raw).expect("adapted"), raw.len());
            assert_eq!(raw, taken, "{order:?}");
        }
    }

    #[test]
    fn lines_of_the_handshake_and_messages_pass_in_pieces_of_any_size() {
        let (taken, sent) = message(Endian::Little, "x");
        let line = b"OK 0123456789abcdef0123456789abcdef\r\nAGREE_UNIX_FD\r\n";
        let stream = [line.as_slice(), &sent, &sent].concat();
        let expected = [line.as_slice(), &taken, &taken].concat();
        for size in [1, 3, 16, 17, 100, stream.len()] {
            let (mut raw, mut seen) = (Vec::new(), Vec::new());
            for piece in stream.chunks(size) {
                raw.extend_from_slice(piece);
                let whole = adapt(&mut raw).expect("adapted");
                seen.extend(raw.drain(..whole));
            }
            assert_eq!((seen, raw.len()), (expected.clone(), 0), "pieces of {size}");
        }
    }

    #[test]
    fn what_is_malformed_is_left_for_zbus_to_refuse() {
        let (_, sent) = message(Endian::Little, "x");
        for cut in 0..sent.len() {
            let mut damaged = sent.clone();
            damaged[cut] = 0xff;
            let _ = adapt(&mut damaged);
        }
        let huge = [b"l\x01\x00\x01".as_slice(), &[0xff; 12]].concat();
        assert!(adapt(&mut huge.clone()).is_err());
    }
}
