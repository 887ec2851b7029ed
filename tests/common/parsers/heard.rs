//! What others say to us: a pane to its supervisor, a runtime to a hook, a sender to an agent, the manager and the
//! machine's own tools.

use mosaic_fleet::cli::ack::prompt_in;
use mosaic_fleet::host::account;
use mosaic_fleet::host::systemd::private::adapt;
use mosaic_fleet::message::body;
use mosaic_fleet::session::gate::Complaint;
use mosaic_fleet::snapshot::boot::AccountEnd;
use zbus::Message;
use zbus::wire::Endian;

use super::{is_fit, text};

pub fn a_complaint(bytes: &[u8]) {
    let Some(complaint) = Complaint::parse(&text(bytes)) else { return };
    assert_eq!(complaint.why, complaint.why.trim());
    if let Some(code) = complaint.code {
        let again = Complaint::parse(&format!("exit={code}\n{}", complaint.why));
        assert_eq!(again.map(|again| again.code), Some(Some(code)));
    }
}

/// What a hook takes is what was typed: not empty, and of JSON the text alone.
pub fn what_a_hook_is_given(bytes: &[u8]) {
    for hook in [false, true] {
        match prompt_in(bytes.to_vec(), hook) {
            Ok(prompt) => assert!(!prompt.trim().is_empty() && (hook || prompt.as_bytes() == bytes)),
            Err(error) => is_fit(&error.to_string()),
        }
    }
}

/// A text that is sent is sent as it is, and holds nothing that a terminal obeys.
pub fn a_body(bytes: &[u8]) {
    match body::check(bytes) {
        Ok(text) => {
            assert_eq!(text.as_bytes(), bytes);
            assert!(!text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')), "{text:?}");
        }
        Err(refusal) => is_fit(&refusal.to_string()),
    }
    let label = text(bytes);
    if body::is_label(&label) {
        let preamble = body::preamble(&label, "h1", "coder0");
        let inside = preamble.strip_prefix('[').and_then(|rest| rest.split_once("] "));
        let parts = inside.and_then(|(inside, after)| Some((inside.split_once(" -> ")?, after)));
        assert_eq!(parts, Some(((label.as_ref(), "h1:coder0"), "")), "{preamble:?}");
    }
}

/// However what the manager sends comes in, what zbus gets of it is the same, and differs from it in nothing but the
/// first byte of senders' names.
pub fn a_bus(bytes: &[u8]) {
    let mut adapted = bytes.to_vec();
    let all = adapt(&mut adapted);
    let changed = bytes.iter().zip(&adapted).filter(|(before, after)| before != after);
    assert!(changed.clone().all(|(_, after)| *after == b':'));
    // No message is shorter than what all begin with.
    assert!(changed.count() <= bytes.len() / 16);

    let half = bytes.len() / 2;
    let (mut raw, mut seen, mut refused) = (Vec::new(), Vec::new(), false);
    for piece in [&bytes[..half], &bytes[half..]] {
        raw.extend_from_slice(piece);
        match adapt(&mut raw) {
            Ok(whole) => seen.extend(raw.drain(..whole)),
            Err(_) => refused = true,
        }
    }
    match all {
        Ok(whole) => {
            assert_eq!(adapted[whole..], bytes[whole..], "what is not whole is not touched");
            assert!(!refused && seen == adapted[..whole], "in two pieces it is another stream");
            let mut again = adapted.clone();
            assert!(adapt(&mut again).is_ok_and(|again| again == whole) && again == adapted);
        }
        Err(error) => {
            assert!(refused, "in two pieces it is none");
            is_fit(&error.to_string());
        }
    }
    messages_about(&text(bytes), half);
}

/// A line of the handshake and two messages as the manager sends them, which come in two pieces: zbus gets what it
/// would have written itself.
fn messages_about(words: &str, cut: usize) {
    let words = words.replace('\0', " ");
    for order in [Endian::Little, Endian::Big] {
        let built = Message::signal("/org/freedesktop/systemd1", "org.test.Interface", "Some")
            .endian(order)
            .sender(":rg.freedesktop.systemd1")
            .destination("org.test.Us")
            .build(&words)
            .expect("a message");
        let taken = built.data().bytes().to_vec();
        let at = taken.windows(4).position(|four| four == b":rg.").expect("the sender");
        let mut sent = taken.clone();
        sent[at] = b'o';
        let (sent, taken) =
            ([b"OK\r\n", &sent[..], &sent].concat(), [b"OK\r\n", &taken[..], &taken].concat());
        let (mut raw, mut seen) = (Vec::new(), Vec::new());
        let (first, second) = sent.split_at(cut.min(sent.len()));
        for piece in [first, second] {
            raw.extend_from_slice(piece);
            let whole = adapt(&mut raw).expect("adapted");
            seen.extend(raw.drain(..whole));
        }
        assert!(seen == taken && raw.is_empty(), "{order:?}, cut at {cut}");
    }
}

/// The day on which an account ends is compared with today as text, and shown.
pub fn an_account(bytes: &[u8]) {
    let Some(account) = account::parse(&text(bytes), "2026-11-29") else { return };
    if let Some(AccountEnd::Account(day) | AccountEnd::Password(day)) = &account.end {
        let is_digit =
            |at: usize, byte: u8| if [4, 7].contains(&at) { byte == b'-' } else { byte.is_ascii_digit() };
        assert!(day.len() == 10 && day.bytes().enumerate().all(|(at, byte)| is_digit(at, byte)), "{day:?}");
    }
    let _ = account.has_ended();
}
