//! Every parser of the project as a function of bytes that must hold for all of them: no panic, and what was read
//! and written again is the same.

use std::path::{Path, PathBuf};

use mosaic_fleet::envfile;
use mosaic_fleet::layout::Layout;
use mosaic_fleet::ledger::Ledger;
use mosaic_fleet::lint::words;
use mosaic_fleet::names::{AgentName, EnvName, HostName};
use mosaic_fleet::render::{Role, Site, render};
use mosaic_fleet::roster::{self, roles};
use mosaic_fleet::runfile::queued::{Place, Queued};
use mosaic_fleet::runfile::receipt::{Receipt, Summary, draft_digest};
use mosaic_fleet::runfile::record::{self, Record};
use mosaic_fleet::runfile::{ack, attached, environment, heartbeat, launched};
use mosaic_fleet::runtime::screen;
use mosaic_fleet::runtime::{Kind, version};
use mosaic_fleet::snapshot::{Clock, Fact, FileFacts};
use mosaic_fleet::tenant;
use mosaic_fleet::transcript;
use mosaic_fleet::yaml;

/// A parser: its name, which is its corpus's folder, and what must hold.
pub type Parser = (&'static str, fn(&[u8]));

pub const ALL: &[Parser] = &[
    ("roster", a_roster),
    ("role", a_role),
    ("heartbeat", a_heartbeat),
    ("record", a_record),
    ("receipt", a_receipt),
    ("queued", a_queued),
    ("place", a_place),
    ("ack", an_ack),
    ("attached", an_attachment),
    ("launched", a_launch),
    ("environment", an_environment),
    ("ledger", a_ledger),
    ("envfile", an_envfile),
    ("envwrite", an_envfile_of_ours),
    ("unit", a_unit),
    ("screen", a_screen),
    ("package", a_package),
    ("reply", a_reply),
    ("line", a_line),
];

/// Longer messages would hide what matters.
const TELLING: usize = 64 * 1024;

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
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

fn a_roster(bytes: &[u8]) {
    let roster = match roster::read_bytes(bytes, Path::new("roster.yaml"), "u") {
        Ok(roster) => roster,
        Err(problems) => return is_fit(&problems.to_string()),
    };
    let site = Site {
        layout: layout(),
        host: HostName::parse("h1").expect("a name"),
        program: PathBuf::from("/usr/bin/fleet"),
        tmux: PathBuf::from("/usr/bin/tmux"),
    };
    let desired = match render(&roster, &site) {
        Ok(desired) => desired,
        Err(error) => return is_fit(&error.to_string()),
    };
    // systemd must read in each environment file what we meant, so our reader, which reads as it does, has to.
    for file in desired.files.iter().filter(|f| matches!(f.role, Role::AgentEnv(_))) {
        assert!(
            envfile::read(file.content.as_bytes()).is_ok(),
            "{}: {:?}",
            file.path.display(),
            file.content
        );
    }
    let again = render(&roster, &site).expect("it was rendered before");
    assert!(again.files.iter().map(|f| &f.content).eq(desired.files.iter().map(|f| &f.content)));
}

fn a_role(bytes: &[u8]) {
    let text = text(bytes);
    if let Err(problems) = roles::read(&text, Path::new("role.md")) {
        is_fit(&problems.to_string());
    }
    if let Err(problem) = yaml::parse(&text) {
        let _ = problem;
    }
}

fn a_heartbeat(bytes: &[u8]) {
    if let Ok(beat) = heartbeat::parse(bytes) {
        // A tab becomes a blank and a time loses what is below a microsecond: the second time nothing is lost.
        let written = heartbeat::text(&beat);
        if written.len() <= heartbeat::LONGEST {
            let again = heartbeat::parse(written.as_bytes()).map(|beat| heartbeat::text(&beat));
            assert_eq!(again.as_ref(), Ok(&written));
        }
    }
    let clock =
        Clock { unix: 1.7e9, boottime: 5000.0, boot_id: "00000000-0000-0000-0000-000000000000".into() };
    let facts = FileFacts::File { content: bytes.to_vec(), mode: 0o600 };
    let verdict = heartbeat::judge(Some(&Fact::Known(facts)), &clock, &heartbeat::Expect::default(), None);
    is_fit(&verdict.reason);
    assert!(verdict.age.is_none_or(|age| !age.is_nan()), "{verdict:?}");
}

fn a_record(bytes: &[u8]) {
    let text = text(bytes);
    if let Some(record) = Record::parse(&text) {
        // Times are written to the millisecond: the second time nothing is lost.
        let written = record.text();
        assert_eq!(Record::parse(&written).map(|again| again.text()), Some(written));
        let _ = Record::next(Some(record), "00000000-0000-0000-0000-000000000000", 5000.0);
    }
    is_fit(&record::unreadable(&text));
}

fn a_receipt(bytes: &[u8]) {
    let text = text(bytes);
    if let Some(receipt) = Receipt::parse(&text) {
        assert_eq!(Receipt::parse(&receipt.text()), Some(receipt));
    }
    if let Some(mut summary) = Summary::parse(&text) {
        assert_eq!(Summary::parse(&summary.text()), Some(summary.clone()));
        let _ = summary.undelivered("2026-01-01T00:00:00Z".parse().expect("a time"));
        if let Some(latest) = summary.latest.clone() {
            summary.remember(&latest);
            assert!(summary.open.len() <= 16 || !latest.state.is_open());
        }
    }
}

fn a_queued(bytes: &[u8]) {
    if let Some(message) = Queued::parse(&text(bytes)) {
        assert_eq!(Queued::parse(&message.json()), Some(message));
    }
}

fn a_place(bytes: &[u8]) {
    let name = text(bytes);
    if let Some(place) = Place::of(&name) {
        assert_eq!(place.file_name(), name, "another file would be meant");
    }
}

fn an_ack(bytes: &[u8]) {
    for one in ack::parse(bytes) {
        let line = ack::line(&one).expect("a line");
        assert!(line.len() > ack::LONGEST || ack::parse(line.as_bytes()) == [one], "{line}");
    }
    let _ = ack::digest(&text(bytes));
}

fn an_attachment(bytes: &[u8]) {
    for visit in attached::visits(&text(bytes), |who| who.pid % 2 == 0) {
        assert!(!(visit.attached && visit.until.is_some()), "{visit:?}");
    }
}

fn a_launch(bytes: &[u8]) {
    if let Some(launched) = launched::Launched::parse(&text(bytes)) {
        assert_eq!(launched::Launched::parse(&launched.text()), Some(launched));
    }
}

fn an_environment(bytes: &[u8]) {
    let text = text(bytes);
    let _ = environment::Environment::parse(&text);
    let (rendered, local) = text.split_once("\n\n").unwrap_or((&text, ""));
    let _ = environment::variables(rendered, local);
    let of = environment::Environment::of(rendered.as_bytes(), local.as_bytes(), String::new());
    assert!(of.is_in(rendered.as_bytes(), local.as_bytes()), "what was read is what is there");
}

fn a_ledger(bytes: &[u8]) {
    let layout = layout();
    match Ledger::from_text(&text(bytes), &layout) {
        Ok(ledger) => {
            let written = ledger.to_text(&layout);
            assert_eq!(Ledger::from_text(&written, &layout).as_ref().ok(), Some(&ledger), "{written}");
            for path in ledger.files.keys().chain(ledger.links.keys()) {
                let below = path.starts_with("/home/u") && !path.components().any(|c| c.as_os_str() == "..");
                assert!(below, "{}: a licence to delete elsewhere", path.display());
            }
        }
        Err(error) => is_fit(&error.to_string()),
    }
}

fn an_envfile(bytes: &[u8]) {
    // Bytes that are no text are passed over where no variable is made of them, as systemd does.
    if let (Ok(read), Ok(text)) = (envfile::read(bytes), std::str::from_utf8(bytes)) {
        assert_eq!(read, envfile::parse(text));
    }
}

/// What the writer takes, the reader gives back.
fn an_envfile_of_ours(bytes: &[u8]) {
    let text = text(bytes);
    let values: Vec<String> = text.split('\u{1f}').map(str::to_owned).collect();
    let names: Vec<EnvName> =
        (0..values.len()).map(|at| EnvName::parse(&format!("V{at}")).expect("a name")).collect();
    let vars: Vec<(EnvName, &str)> = names.iter().cloned().zip(values.iter().map(String::as_str)).collect();
    if vars.iter().any(|(name, value)| envfile::check(name, value).is_err()) {
        assert!(envfile::write(&vars).is_err());
        return;
    }
    let Ok(written) = envfile::write(&vars) else { return };
    let read = envfile::read(written.as_bytes()).expect("it reads what it wrote");
    let meant: Vec<(String, String)> = vars.iter().map(|(n, v)| (n.to_string(), (*v).to_owned())).collect();
    assert_eq!(read, meant, "{written:?}");
}

fn a_unit(bytes: &[u8]) {
    let text = text(bytes);
    let _ = words::settings(&text);
    let _ = (words::specifiers(&text), words::variables(&text));
    let _ = words::expand_at(&text, "mosaic-agent@coder0.service", "/home/u");
}

fn a_screen(bytes: &[u8]) {
    let text = text(bytes);
    for kind in [Kind::Claude, Kind::Codex, Kind::OpenCode, Kind::Pi, Kind::Dogfood, Kind::Custom] {
        let seen = screen::judge(kind, "> ", &text);
        if let screen::Composer::Draft(draft) = seen.composer {
            assert!(!screen::shows(kind, &draft, "no such message was ever sent by anybody"), "{draft:?}");
            let _ = (screen::shows(kind, &draft, &text), draft_digest(&draft));
        }
    }
}

fn a_package(bytes: &[u8]) {
    if let Some(Ok(version)) = version::in_package(bytes, "pi") {
        is_fit(&version);
    }
}

fn a_reply(bytes: &[u8]) {
    match tenant::wire::Reply::read(bytes) {
        Ok(reply) => {
            reply.said.iter().for_each(|line| is_fit(line));
            assert!(reply.code <= 4);
        }
        Err(error) => is_fit(&error.to_string()),
    }
    let clean = tenant::words::clean(&text(bytes));
    is_fit(&clean);
}

fn a_line(bytes: &[u8]) {
    let text = text(bytes);
    for line in text.lines() {
        assert!(!transcript::plain(line).chars().any(|c| c.is_control() && c != '\t'), "{line:?}");
    }
    let _ = (AgentName::parse(&text), HostName::parse(&text), EnvName::parse(&text));
}
