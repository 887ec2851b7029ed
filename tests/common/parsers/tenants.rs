//! What root reads of tenants: declarations, its own books, what a child that became one says.

use std::path::Path;

use mosaic_fleet::host::tenant::subids;
use mosaic_fleet::lint::words;
use mosaic_fleet::names::TenantId;
use mosaic_fleet::roster;
use mosaic_fleet::tenant::books::{Book, BookError, RetiredUids, Span};
use mosaic_fleet::tenant::wire::{Call, Reply};
use mosaic_fleet::tenant::words::clean;
use mosaic_fleet::tenant::{Declared, Fleet, State, place, read};

use super::{is_fit, text};

/// Only what is declared stands in root's units, and what the child gets is a roster.
pub fn a_declaration(bytes: &[u8]) {
    let name = TenantId::parse("usc").expect("a name");
    let file = place::declaration(&name);
    let declared = match read(bytes, &file, &name) {
        Ok(declared) => declared,
        Err(problems) => return is_fit(&problems.to_string()),
    };
    let home = declared.home.clone().unwrap_or_else(|| "/home/usc".into());
    for (path, unit) in place::files(&declared, 1234, &home) {
        assert!(place::is_file(&path), "{path:?}");
        for setting in words::settings(&unit) {
            let known =
                ["TasksMax", "MemoryMax", "CPUQuota", "RequiresMountsFor"].contains(&setting.key.as_str());
            assert!(known && !setting.value.is_empty(), "{unit}");
        }
    }
    if let Fleet::Root(text) = &declared.fleet {
        let again = roster::read_bytes(text.as_bytes(), Path::new("roster.yaml"), declared.user.as_str());
        assert!(again.is_ok(), "{again:?}\n{text}");
    }
    for state in [State::Absent, State::Present] {
        let changed = place::with_state(&text(bytes), state);
        // Whether it is what was meant is asked before it is written.
        let _ = read(changed.as_bytes(), &file, &name);
    }
    let bare = Declared::bare(name.clone(), declared.user.clone());
    let fleet = if matches!(declared.fleet, Fleet::Root(_)) { Fleet::Own } else { declared.fleet };
    let plain = Declared { uid: declared.uid, home: declared.home, shell: declared.shell, fleet, ..bare };
    assert_eq!(read(place::text(&plain).as_bytes(), &file, &name), Ok(plain));
}

/// It is a licence to end and to remove: of a tenant's, and of nothing else.
pub fn a_book(bytes: &[u8]) {
    match Book::from_text(&text(bytes)) {
        Ok(book) => {
            assert!(book.uid != 0 && book.files.keys().all(|path| place::is_file(path)), "{book:?}");
            assert_eq!(Book::from_text(&book.to_text()), Ok(book));
        }
        Err(error) => is_told(&error),
    }
}

pub fn retired_uids(bytes: &[u8]) {
    match RetiredUids::from_text(&text(bytes)) {
        Ok(retired) => {
            assert!(retired.uids.iter().all(|one| retired.of(one.uid).is_some()));
            assert_eq!(RetiredUids::from_text(&retired.to_text()), Ok(retired));
        }
        Err(error) => is_told(&error),
    }
}

fn is_told(error: &BookError) {
    is_fit(&error.to_string());
}

pub fn a_call(bytes: &[u8]) {
    match Call::read(bytes) {
        Ok(call) => {
            let written = serde_json::to_vec(&call).expect("JSON");
            assert_eq!(Call::read(&written), Ok(call));
        }
        Err(error) => is_fit(&error.to_string()),
    }
}

pub fn a_reply(bytes: &[u8]) {
    match Reply::read(bytes) {
        Ok(reply) => {
            reply.said.iter().for_each(|line| is_fit(line));
            assert!(reply.code <= 4);
        }
        Err(error) => is_fit(&error.to_string()),
    }
    let clean = clean(&text(bytes));
    is_fit(&clean);
}

/// What is given to a user is nobody else's.
pub fn subordinate_ids(bytes: &[u8]) {
    let text = text(bytes);
    let own = subids::spans_in(&text, "usc", 1001);
    assert!(own.len() <= text.lines().count());
    let (min, max, count) = (100_000, 600_100_000, 65_536);
    if let Some(first) = subids::free(own.clone(), min, max, count) {
        let given = Span { first, count };
        assert!(first >= min && given.end() <= u64::from(max) + 1, "{given:?}");
        // One that holds no number is nobody's.
        assert!(!own.iter().any(|span| span.count > 0 && span.meets(given)), "{given:?} of {own:?}");
    }
}
