//! Keeps what docs/architecture.md says of the code: who may import whom, and what is absent.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Modules that compute and do nothing else.
const PURE: [&str; 16] = [
    "names",
    "error",
    "layout",
    "envfile",
    "yaml",
    "roster",
    "render",
    "lint",
    "doctor",
    "adopt",
    "snapshot",
    "ledger",
    "plan",
    "transcript",
    "observe",
    "tenant",
];
/// What a pure module has no business with.
const EFFECTS: [&str; 7] =
    ["std::fs", "std::process", "std::net", "std::env", "SystemTime", "Instant::now", "std::io::stdin"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Each module's row of the table: its name and what it may import; `None` for everything.
fn table() -> BTreeMap<String, Option<BTreeSet<String>>> {
    let text = fs::read_to_string(root().join("docs/architecture.md")).expect("the page is there");
    let rows = text.lines().filter(|l| l.starts_with("| `"));
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let imports = match cells[2] {
            "everything" => None,
            listed => {
                Some(listed.split(',').map(|m| m.trim().to_owned()).filter(|m| !m.is_empty()).collect())
            }
        };
        (cells[0].trim_matches('`').to_owned(), imports)
    };
    rows.map(row).collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

/// Every source file with the top module it belongs to, and its text without comments and without
/// what is only there for tests.
fn modules() -> Vec<(String, PathBuf, String)> {
    let src = root().join("src");
    let mut all = Vec::new();
    for path in sources(&src) {
        let below = path.strip_prefix(&src).expect("below src");
        let first = below.components().next().expect("a name").as_os_str().to_string_lossy();
        let module = first.trim_end_matches(".rs").to_owned();
        if module == "lib"
            || module == "bin"
            || below.to_string_lossy().ends_with("tests.rs")
            || below.components().any(|c| c.as_os_str() == "tests")
        {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source");
        let program = text.split("#[cfg(test)]\nmod ").next().expect("a first part");
        let code =
            program.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        all.push((module, path, code));
    }
    all
}

/// The top modules that a source names by `crate::`.
fn imports(code: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => {
                let group = group.split("};").next().unwrap_or(group);
                let mut depth = 0;
                let mut top = String::new();
                for c in group.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        c if depth == 0 => top.push(c),
                        _ => {}
                    }
                }
                found.extend(
                    top.split(',').map(|m| m.trim().chars().take_while(|c| word(*c)).collect::<String>()),
                );
            }
            None => drop(found.insert(rest.chars().take_while(|c| word(*c)).collect())),
        }
    }
    found.retain(|m| !m.is_empty());
    found
}

#[test]
fn no_module_imports_what_its_row_does_not_name() {
    let table = table();
    let mut wrong = Vec::new();
    for (module, path, code) in modules() {
        let Some(row) = table.get(&module) else {
            wrong.push(format!("{}: module {module} has no row", path.display()));
            continue;
        };
        let Some(allowed) = row else { continue };
        for import in imports(&code) {
            if import != module && !allowed.contains(&import) {
                wrong.push(format!("{}: {module} may not import {import}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "against the table of docs/architecture.md:\n{}", wrong.join("\n"));
}

#[test]
fn every_row_of_the_table_is_a_module() {
    let there: BTreeSet<String> = modules().into_iter().map(|(module, ..)| module).collect();
    let rows: BTreeSet<String> = table().into_keys().collect();
    assert_eq!(rows.difference(&there).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn what_computes_does_nothing_else() {
    let mut wrong = Vec::new();
    for (module, path, code) in modules() {
        if PURE.contains(&module.as_str()) {
            wrong.extend(
                EFFECTS
                    .iter()
                    .filter(|e| code.contains(**e))
                    .map(|e| format!("{}: names {e}", path.display())),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_programs_are_thin() {
    for bin in ["fleet", "mosaic"] {
        let text = fs::read_to_string(root().join(format!("src/bin/{bin}.rs"))).expect("a program");
        assert!(text.lines().count() <= 30, "src/bin/{bin}.rs has {} lines", text.lines().count());
    }
}

#[test]
fn no_source_is_longer_than_a_person_reads_at_once() {
    let all = ["src", "tests", "benches"].iter().flat_map(|folder| sources(&root().join(folder)));
    let long: Vec<String> = all
        .map(|path| (fs::read_to_string(&path).expect("a source").lines().count(), path))
        .filter(|(lines, _)| *lines > 500)
        .map(|(lines, path)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn the_page_of_the_long_run_names_each_test_that_is_left_out_else() {
    let page = fs::read_to_string(root().join("docs/development/tests.md")).expect("the page is there");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let said: BTreeSet<String> = rows.map(|(name, _)| name.to_owned()).collect();
    let mut there = BTreeSet::new();
    for path in sources(&root().join("tests")) {
        let text = fs::read_to_string(&path).expect("a source");
        let below = path.strip_prefix(root().join("tests")).expect("below tests");
        let program = below.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
        for ignored in text.split("\n#[ignore").skip(1) {
            let name =
                ignored.split_once("\nfn ").and_then(|(_, rest)| rest.split_once('(')).expect("a test").0;
            there.insert(format!("{}::{name}", program.trim_end_matches(".rs")));
        }
    }
    // It writes the docs where it is asked to, and tests nothing.
    there.remove("pictures::the_pictures_of_the_docs_are_drawn_again");
    assert_eq!(said, there);
}

/// What stands behind every agent for days must stay small: it reaches no bus, no argument parser
/// and no reader of anything but lines.
#[test]
fn the_supervisor_reaches_nothing_heavy() {
    let heavy = ["zbus", "clap", "serde", "host::systemd", "host::logind", "yaml", "minijinja", "crate::cli"];
    let mut wrong = Vec::new();
    for (module, path, code) in modules() {
        let by_hand = path.ends_with("found.rs");
        if module == "session" && !by_hand {
            wrong.extend(
                heavy.iter().filter(|w| code.contains(**w)).map(|w| format!("{}: names {w}", path.display())),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
