//! What root is in the middle of when the power goes: tenants are made, changed and removed. What root keeps of them
//! is whole, no number is lost or given twice, lingering is remembered as it was, and the same again converges.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use mosaic_fleet::layout::Layout;
use mosaic_fleet::ledger::Ledger;
use mosaic_fleet::names::TenantId;
use mosaic_fleet::roster;
use mosaic_fleet::tenant::books::{Book, RetiredUids};
use mosaic_fleet::tenant::{Declared, place, read};
use serde_json::Value;

use crate::BOUND;
use crate::fleet::rig::Run;
use crate::fleet::{Fleet, TENANT};
use crate::writes::Files;

/// Prints what files below the named places hold, each after its path. Python would take longer to start than this.
const LOOK: &str =
    "find \"$@\" -type f -exec sh -c 'for f; do printf \"\\036%s\\037\" \"$f\"; cat \"$f\"; done' sh {} +";

/// One thing that root does for a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Add,
    Change,
    Purge,
}

impl Verb {
    const ALL: [Self; 3] = [Self::Add, Self::Change, Self::Purge];

    pub fn run(self, fleet: &Fleet, name: &str) -> Run {
        match self {
            Self::Add => fleet.rig.root(&["fleet", "tenant", "add", name, "--profile", "minimal"]),
            // As a careful editor writes it; the apply is for all tenants.
            Self::Change => {
                let folder = place::DECLARATIONS;
                let text = "version: 1\\nprofile: minimal\\nlimits: {tasks_max: 777}\\n";
                let put = format!(
                    "umask 077; cd {folder} && printf '{text}' >.new && sync .new && mv .new {name}.yaml && sync . && \
                     fleet tenant apply"
                );
                fleet.rig.root(&["sh", "-c", &put])
            }
            Self::Purge => fleet.rig.root(&["fleet", "tenant", "remove", name, "--purge"]),
        }
    }
}

/// The tenants of a machine, one of whom was there before, as root was told of them.
pub struct Tenants {
    count: usize,
    /// Of whom it was said that they are there, with their numbers.
    there: BTreeMap<String, u32>,
    /// Numbers of those of whom it was said that they are gone.
    gone: BTreeSet<u32>,
    /// Everybody who ever had a number.
    given: BTreeMap<u32, String>,
    doing: Option<(String, Verb)>,
}

impl Tenants {
    /// Root takes the machine's user, who lingers already, for a tenant.
    pub fn of(fleet: &Fleet) -> Self {
        fleet.rig.root_ok(&["fleet", "tenant", "add", TENANT]);
        let there = BTreeMap::from([(TENANT.to_owned(), fleet.uid)]);
        Self { count: 0, there, gone: BTreeSet::new(), given: BTreeMap::new(), doing: None }
    }

    /// One tenant after another is made, changed and removed.
    pub fn work_until_cut(&mut self, fleet: &Fleet) {
        loop {
            self.count += 1;
            let name = format!("t{}", self.count);
            for verb in Verb::ALL {
                self.doing = Some((name.clone(), verb));
                let done = verb.run(fleet, &name);
                if done.code != 0 {
                    let off = fleet.rig.root(&["true"]).code != 0;
                    assert!(off, "{verb:?} failed before the power went: {}", done.report());
                    return;
                }
                match verb {
                    Verb::Add => {
                        let id = fleet.rig.root(&["id", "-u", &name]);
                        let Ok(uid) = id.stdout.trim().parse() else { return };
                        self.there.insert(name.clone(), uid);
                    }
                    Verb::Change => {}
                    Verb::Purge => self.gone.extend(self.there.remove(&name)),
                }
            }
        }
    }

    /// What was cut off is done again and comes to its end; then it is removed. What it was, for people.
    pub fn converge(&mut self, fleet: &Fleet, when: &str) -> String {
        let found = self.look(fleet, when);
        let Some((name, verb)) = self.doing.take() else { return String::new() };
        let when = format!("{when}: {verb:?} of {name}");
        let had = found.books.get(&name).map(|book| book.uid);
        if verb != Verb::Purge {
            verb.run(fleet, &name).ok();
            is_settled(fleet, &when);
            let now = self.look(fleet, &when);
            let uid = now.users[&name];
            assert!(had.is_none_or(|had| had == uid), "{when}: it had {had:?} and has {uid}");
            assert!(!now.retired.contains(&uid), "{when}: {uid} was somebody's who is gone");
            now.is_up(&name, &when);
            self.there.insert(name.clone(), uid);
        }
        let gone = Verb::Purge.run(fleet, &name);
        let before = verb == Verb::Purge && gone.stderr.contains("there is no tenant");
        assert!(gone.code == 0 || before, "{when}: {}", gone.report());
        self.gone.extend(self.there.remove(&name).or(had));
        let now = self.look(fleet, &when);
        assert_eq!(now.users.keys().collect::<Vec<_>>(), [TENANT], "{when}");
        assert_eq!(now.lingering, BTreeSet::from([TENANT.to_owned()]), "{when}");
        assert_eq!(now.books.keys().collect::<Vec<_>>(), [TENANT], "{when}");
        assert_eq!(now.declared.keys().collect::<Vec<_>>(), [TENANT], "{when}");
        assert!(now.unfinished.is_empty(), "{when}: {:?}", now.unfinished);
        assert_eq!(fleet.rig.root_ok(&["ls", "/home"]), format!("{TENANT}\n"), "{when}");
        format!(" ({verb:?})")
    }

    /// What is there now: whole, nothing lost of what was said, and no number given twice.
    fn look(&mut self, fleet: &Fleet, when: &str) -> Root {
        let argv: Vec<&str> = ["sh", "-c", LOOK, "sh"].into_iter().chain(Root::PLACES).collect();
        let told = fleet.rig.root_ok(&argv);
        let found = told.split('\u{1e}').skip(1).map(|file| {
            let (path, content) = file.split_once('\u{1f}').expect("a path before it");
            (path.to_owned(), content.as_bytes().to_vec())
        });
        let root = Root::of(&found.collect(), when);
        for (name, uid) in &self.there {
            if self.doing.as_ref() != Some(&(name.clone(), Verb::Purge)) {
                root.has(name, Some(*uid), when);
            }
        }
        assert!(self.gone.is_subset(&root.retired), "{when}: {:?} of {:?}", root.retired, self.gone);
        for (name, book) in &root.books {
            let whose = self.given.entry(book.uid).or_insert_with(|| name.clone());
            assert_eq!(whose, name, "{when}: {} is given twice", book.uid);
        }
        root
    }
}

/// There is nothing left to do, and every tenant's fleet is what its roster says.
fn is_settled(fleet: &Fleet, when: &str) {
    fleet.rig.root_ok(&["fleet", "tenant", "apply"]);
    let told = fleet.rig.root_ok(&["fleet", "tenant", "apply", "--json"]);
    let told: Value = serde_json::from_str(&told).expect("JSON");
    for tenant in told["tenants"].as_array().expect("tenants") {
        assert_eq!(
            (&tenant["ok"], &tenant["did"]),
            (&true.into(), &Value::Array(Vec::new())),
            "{when}: {told:#}"
        );
    }
    fleet.rig.wait_until("every tenant is as its roster says", BOUND, || {
        fleet.rig.root(&["fleet", "verify", "--all-tenants"]).code == 0
    });
}

/// What a disk, or a running machine, has of tenants.
pub struct Root {
    pub books: BTreeMap<String, Book>,
    pub declared: BTreeMap<String, Declared>,
    pub retired: BTreeSet<u32>,
    /// Ordinary users with their numbers.
    pub users: BTreeMap<String, u32>,
    pub lingering: BTreeSet<String>,
    /// Files that were never put in their places.
    unfinished: Vec<String>,
    homes: Files,
}

impl Root {
    /// Where it is.
    pub const PLACES: [&str; 6] = [
        "/etc/mosaic",
        "/var/lib/mosaic",
        "/var/lib/systemd/linger",
        "/etc/passwd",
        "/etc/systemd/system",
        "/home",
    ];

    /// Reads it; fails where something is half, or is there and nobody knows the maker.
    pub fn of(files: &Files, when: &str) -> Self {
        let mut root = Self {
            books: BTreeMap::new(),
            declared: BTreeMap::new(),
            retired: BTreeSet::new(),
            users: BTreeMap::new(),
            lingering: BTreeSet::new(),
            unfinished: Vec::new(),
            homes: Files::new(),
        };
        let mut system = Vec::new();
        for (path, content) in files {
            let (folder, name) = path.rsplit_once('/').expect("a path");
            let text = String::from_utf8_lossy(content);
            if path.starts_with("/home/") {
                root.homes.insert(path.clone(), content.clone());
            } else if name.starts_with('.') {
                root.unfinished.push(path.clone());
            } else if path == place::RETIRED {
                let retired = RetiredUids::from_text(&text);
                let retired = retired.unwrap_or_else(|error| panic!("{when}: {path}: {error}: {text}"));
                root.retired.extend(retired.uids.iter().map(|retired| retired.uid));
            } else if let (place::BOOKS, Some(name)) = (folder, name.strip_suffix(".json")) {
                let book = Book::from_text(&text);
                let book = book.unwrap_or_else(|error| panic!("{when}: {path}: {error}: {text}"));
                root.books.insert(name.to_owned(), book);
            } else if let (place::DECLARATIONS, Some(name)) = (folder, name.strip_suffix(".yaml")) {
                let tenant = TenantId::parse(name).expect("a name");
                let declared = read(content, Path::new(path), &tenant);
                let declared = declared.unwrap_or_else(|error| panic!("{when}: {error}: {text}"));
                root.declared.insert(name.to_owned(), declared);
            } else if folder == "/var/lib/systemd/linger" {
                root.lingering.insert(name.to_owned());
            } else if path == "/etc/passwd" {
                root.users = users(&text, when);
            } else if name == "mosaic.conf" {
                assert!(text.ends_with('\n'), "{when}: {path} is half: {text:?}");
                system.push(path);
            }
        }
        for path in system {
            let known = root.books.values().any(|book| book.files.keys().any(|file| file == Path::new(path)));
            assert!(known, "{when}: nobody knows who made {path}");
        }
        root.remembers(when);
        root
    }

    /// Whoever was there before is left, and lingers, whatever is removed; for all others the maker is known.
    fn remembers(&self, when: &str) {
        for (name, uid) in &self.users {
            let ours = name != TENANT;
            match self.books.get(name) {
                Some(book) => {
                    let by_us = (book.user_by_us, book.home_by_us, book.uid);
                    assert_eq!(by_us, (ours, ours, *uid), "{when}: {name}");
                }
                None => assert!(!ours, "{when}: nobody knows who made {name}"),
            }
        }
        for (name, book) in &self.books {
            let expected = name != TENANT;
            assert!(!book.linger_by_us || expected, "{when}: {name} lingered before");
        }
        for name in self.lingering.iter().filter(|name| *name != TENANT) {
            let known = self.books.get(name).is_some_and(|book| book.linger_by_us);
            assert!(known, "{when}: nobody knows who made {name} linger");
        }
    }

    /// A tenant of whom it was said that it is there.
    pub fn has(&self, name: &str, uid: Option<u32>, when: &str) {
        let now = self.users.get(name).copied();
        assert!(now.is_some() && (uid.is_none() || uid == now), "{when}: {name} had {uid:?} and has {now:?}");
        assert!(self.declared.contains_key(name), "{when}: {name} is not declared");
        assert!(self.books.contains_key(name), "{when}: nothing is known of {name}");
        assert!(self.lingering.contains(name), "{when}: {name} does not linger");
    }

    /// One whose fleet was applied, too.
    pub fn is_up(&self, name: &str, when: &str) {
        self.has(name, None, when);
        let home = format!("/home/{name}");
        let file = |below: &str| {
            let path = format!("{home}/.config/mosaic/fleet/{below}");
            let content = self.homes.get(&path).unwrap_or_else(|| panic!("{when}: there is no {path}"));
            String::from_utf8_lossy(content).into_owned()
        };
        let read = roster::read_bytes(file("roster.yaml").as_bytes(), Path::new("roster.yaml"), name);
        assert!(read.is_ok(), "{when}: {read:?}");
        let ledger = Ledger::from_text(&file("ledger.json"), &Layout::new(&home, None));
        assert!(ledger.is_ok_and(|ledger| ledger.applied.is_some()), "{when}: the ledger of {name}");
    }
}

/// Whoever can have a home in the password database, each line of which is whole.
fn users(text: &str, when: &str) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let uid = fields.get(2).and_then(|uid| uid.parse::<u32>().ok());
        let uid =
            uid.filter(|_| fields.len() == 7).unwrap_or_else(|| panic!("{when}: /etc/passwd: {line:?}"));
        if (1000..60_000).contains(&uid) {
            found.insert(fields[0].to_owned(), uid);
        }
    }
    assert!(text.ends_with('\n') && text.starts_with("root:"), "{when}: /etc/passwd is half");
    found
}
