//! Which skills pi is told of. Pure: the roots are read by the host, this chooses.
//!
//! pi finds skills in its native roots by itself, and not at all with `--no-skills`; the fleet's own
//! roots it does not know. The same skill may stand in several places, as a link for one: by its
//! real path it counts once, at its first place.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The skill that every agent has.
const ALWAYS: &str = "mosaic-tools";

/// Which of the skills there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// The forced ones alone.
    #[default]
    None,
    /// What pi finds by itself, and the forced ones.
    Discover,
    /// Every skill of every root.
    All,
}

impl Mode {
    /// The mode of a word of `MOSAIC_PI_SKILL_MODE`.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "" | "none" => Some(Self::None),
            "discover" => Some(Self::Discover),
            "all" => Some(Self::All),
            _ => None,
        }
    }
}

/// Who looks into a root by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finder {
    /// Nobody: pi has to be told.
    Told,
    /// pi.
    Native,
}

/// A folder of skills, with those that stand in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Who looks into it.
    pub finder: Finder,
    /// Its skills, by name.
    pub skills: Vec<Skill>,
}

/// One place of a skill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skill {
    /// Where it stands; its last part is its name.
    pub path: PathBuf,
    /// Its real path; where that cannot be found out, the path as it is.
    pub real: PathBuf,
}

/// The roots, in order.
pub fn roots(mosaic: &Path, home: &Path, folder: Option<&Path>) -> Vec<(Finder, PathBuf)> {
    let mut roots = vec![
        (Finder::Told, mosaic.join("skills")),
        (Finder::Told, mosaic.join("skills-local")),
        (Finder::Native, home.join(".pi/agent/skills")),
    ];
    roots.extend(folder.map(|folder| (Finder::Native, folder.join(".pi/skills"))));
    roots
}

/// The names of the forced skills; `more` is `MOSAIC_PI_FORCE_SKILLS`, parted by commas or spaces.
pub fn forced(more: &str) -> Vec<&str> {
    let more = more.split([',', ' ', '\t', '\n']).filter(|name| !name.is_empty());
    std::iter::once(ALWAYS).chain(more).collect()
}

/// What pi's command line says of skills, and the names that were asked for and are nowhere.
pub fn choose(mode: Mode, more: &str, roots: &[Root]) -> (Vec<OsString>, Vec<String>) {
    let every = || roots.iter().flat_map(|root| &root.skills);
    let mut missing = Vec::new();
    let mut wanted: Vec<&Skill> = match mode {
        Mode::All => every().collect(),
        Mode::None | Mode::Discover => Vec::new(),
    };
    for name in forced(more) {
        match every().find(|skill| skill.path.file_name() == Some(OsStr::new(name))) {
            Some(skill) => wanted.push(skill),
            // Before the first installation even the one that everybody has is nowhere.
            None if name == ALWAYS => {}
            None => missing.push(name.to_owned()),
        }
    }
    let native = |skill: &Skill| {
        roots
            .iter()
            .filter(|r| r.finder == Finder::Native)
            .flat_map(|r| &r.skills)
            .any(|s| s.real == skill.real)
    };
    let mut words: Vec<OsString> = Vec::new();
    if mode == Mode::Discover {
        wanted.retain(|skill| !native(skill));
    } else {
        words.push("--no-skills".into());
    }
    let mut said: Vec<&Path> = Vec::new();
    for skill in wanted {
        if !said.contains(&skill.real.as_path()) {
            said.push(&skill.real);
            words.push("--skill".into());
            words.push(skill.path.clone().into());
        }
    }
    (words, missing)
}
