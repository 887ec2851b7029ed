//! Every parser of the project as a function of bytes that must hold for all of them: no panic, and what was read
//! and written again is the same.

mod heard;
mod installed;
mod machine;
mod running;
mod tenants;

use mosaic_fleet::layout::Layout;

/// A parser: its name, which is its corpus's folder, and what must hold.
pub type Parser = (&'static str, fn(&[u8]));

pub const ALL: &[Parser] = &[
    ("roster", installed::a_roster),
    ("role", installed::a_role),
    ("ledger", installed::a_ledger),
    ("envfile", installed::an_envfile),
    ("envwrite", installed::an_envfile_of_ours),
    ("overrides", installed::some_overrides),
    ("unit", installed::a_unit),
    ("units", installed::some_units),
    ("package", installed::a_package),
    ("version", installed::a_version),
    ("heartbeat", running::a_heartbeat),
    ("record", running::a_record),
    ("receipt", running::a_receipt),
    ("queued", running::a_queued),
    ("place", running::a_place),
    ("ack", running::an_ack),
    ("attached", running::an_attachment),
    ("launched", running::a_launch),
    ("started", running::a_holders_start),
    ("boots", running::what_tells_of_boots),
    ("environment", running::an_environment),
    ("line", running::a_line),
    ("told", running::what_is_told_of_a_record),
    ("complaint", heard::a_complaint),
    ("hook", heard::what_a_hook_is_given),
    ("body", heard::a_body),
    ("bus", heard::a_bus),
    ("account", heard::an_account),
    ("screen", machine::a_screen),
    ("panes", machine::some_panes),
    ("glimpse", machine::a_glimpse),
    ("captures", machine::some_captures),
    ("process", machine::a_process),
    ("arguments", machine::some_arguments),
    ("cgroup", machine::a_cgroup),
    ("mounts", machine::some_mounts),
    ("keys", machine::some_keys),
    ("declaration", tenants::a_declaration),
    ("book", tenants::a_book),
    ("retired", tenants::retired_uids),
    ("call", tenants::a_call),
    ("reply", tenants::a_reply),
    ("subids", tenants::subordinate_ids),
];

/// Longer messages would hide what matters.
const TELLING: usize = 64 * 1024;
/// Parts the texts of an input that holds several.
const PARTS: char = '\u{1f}';

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(PARTS)
}

/// What people are shown: bounded, and nothing that a terminal obeys.
fn is_fit(told: &str) {
    assert!(told.len() < TELLING, "{} bytes are told", told.len());
    let unfit = told.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
    assert_eq!(unfit, None, "{told:?}");
}

fn layout() -> Layout {
    Layout::new("/home/u", None)
}
