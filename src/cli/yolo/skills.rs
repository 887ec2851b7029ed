//! The skills that pi is told of: the caller's variables and folders, and the choice among them.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::Context;
use crate::host::skills;
use crate::runtime::pi_skills::{self, Finder, Mode, Root, Skill};

/// What pi's command line says of skills, by the caller's variables; what is odd is a warning.
pub fn words(context: &Context) -> Vec<OsString> {
    let word = std::env::var("MOSAIC_PI_SKILL_MODE").unwrap_or_default();
    let mode = Mode::from_word(&word).unwrap_or_else(|| {
        context
            .out
            .warn(format!("MOSAIC_PI_SKILL_MODE={word:?} is none of none, discover, all; none is used"));
        Mode::None
    });
    let folder = std::env::current_dir().ok();
    let roots = pi_skills::roots(context.layout.mosaic(), context.layout.home(), folder.as_deref());
    let forced = std::env::var("MOSAIC_PI_FORCE_SKILLS").unwrap_or_default();
    let (words, missing) = pi_skills::choose(mode, &forced, &read(roots));
    for name in missing {
        context.out.warn(format!("skill {name:?} of MOSAIC_PI_FORCE_SKILLS is in none of the skill folders"));
    }
    words
}

fn read(roots: Vec<(Finder, PathBuf)>) -> Vec<Root> {
    let skill = |place: skills::Place| Skill { path: place.path, real: place.real };
    let root = |(finder, folder): (Finder, PathBuf)| Root {
        finder,
        skills: skills::below(&folder).into_iter().map(skill).collect(),
    };
    roots.into_iter().map(root).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::runtime::pi_skills::{choose, roots};

    /// A home with skills in all four roots.
    struct Home {
        dir: tempfile::TempDir,
    }

    impl Home {
        fn new(skills: &[&str]) -> Self {
            let place = Self { dir: tempfile::tempdir().expect("a folder") };
            for skill in skills {
                place.skill(skill);
            }
            place
        }

        fn at(&self, path: &str) -> PathBuf {
            self.dir.path().join(path)
        }

        fn skill(&self, path: &str) {
            fs::create_dir_all(self.at(path)).expect("made");
            fs::write(self.at(path).join("SKILL.md"), "# a skill").expect("written");
        }

        fn link(&self, from: &str, to: &str) {
            fs::create_dir_all(self.at(from).parent().expect("a folder")).expect("made");
            symlink(self.at(to), self.at(from)).expect("linked");
        }

        fn words(&self, mode: Mode, more: &str) -> Vec<String> {
            let read = read(roots(&self.at("mosaic"), &self.at("home"), Some(&self.at("work"))));
            let (words, missing) = choose(mode, more, &read);
            assert!(missing.is_empty(), "{missing:?}");
            let prefix = format!("{}/", self.dir.path().display());
            let text = |w: OsString| w.to_string_lossy().replace(&prefix, "");
            words.into_iter().map(text).filter(|w| w != "--skill").collect()
        }
    }

    fn everywhere() -> Home {
        Home::new(&[
            "mosaic/skills/mosaic-tools",
            "mosaic/skills/b",
            "mosaic/skills-local/a",
            "home/.pi/agent/skills/c",
            "work/.pi/skills/d",
        ])
    }

    #[test]
    fn mode_none_tells_pi_of_the_forced_ones_alone() {
        let place = everywhere();
        assert_eq!(place.words(Mode::None, ""), ["--no-skills", "mosaic/skills/mosaic-tools"]);
        let more = place.words(Mode::None, "d, a,a");
        let expected =
            ["--no-skills", "mosaic/skills/mosaic-tools", "work/.pi/skills/d", "mosaic/skills-local/a"];
        assert_eq!(more, expected);
    }

    #[test]
    fn mode_all_tells_pi_of_every_skill_of_all_four_roots_once() {
        let place = everywhere();
        let expected = [
            "--no-skills",
            "mosaic/skills/b",
            "mosaic/skills/mosaic-tools",
            "mosaic/skills-local/a",
            "home/.pi/agent/skills/c",
            "work/.pi/skills/d",
        ];
        assert_eq!(place.words(Mode::All, "a"), expected);
    }

    #[test]
    fn mode_discover_adds_only_what_pi_does_not_find_by_itself() {
        let place = everywhere();
        assert_eq!(place.words(Mode::Discover, "c"), ["mosaic/skills/mosaic-tools"]);
        place.link("home/.pi/agent/skills/tools", "mosaic/skills/mosaic-tools");
        assert_eq!(place.words(Mode::Discover, ""), [""; 0], "a native root provides it under another name");
        assert_eq!(place.words(Mode::Discover, "b"), ["mosaic/skills/b"]);
    }

    #[test]
    fn the_same_skill_by_real_path_counts_once_and_the_first_place_wins() {
        let place = Home::new(&["home/.pi/agent/skills/a"]);
        place.link("mosaic/skills/z", "home/.pi/agent/skills/a");
        place.link("work/.pi/skills/a", "home/.pi/agent/skills/a");
        assert_eq!(place.words(Mode::All, "a"), ["--no-skills", "mosaic/skills/z"]);
    }

    #[test]
    fn two_skills_of_one_name_in_two_roots_are_two() {
        let place = Home::new(&["mosaic/skills/a", "mosaic/skills-local/a"]);
        let expected = ["--no-skills", "mosaic/skills/a", "mosaic/skills-local/a"];
        assert_eq!(place.words(Mode::All, ""), expected);
        assert_eq!(place.words(Mode::None, "a"), expected[..2]);
    }

    #[test]
    fn what_holds_no_skill_file_is_none() {
        let place = Home::new(&["mosaic/skills/a"]);
        fs::create_dir_all(place.at("mosaic/skills/empty")).expect("made");
        fs::write(place.at("mosaic/skills/README.md"), "").expect("written");
        place.link("mosaic/skills/broken", "nowhere");
        assert_eq!(place.words(Mode::All, ""), ["--no-skills", "mosaic/skills/a"]);
    }

    #[test]
    fn a_root_that_cannot_be_read_is_skipped() {
        let place = Home::new(&["mosaic/skills/a", "work/.pi/skills/d"]);
        fs::create_dir_all(place.at("home/.pi/agent")).expect("made");
        fs::write(place.at("home/.pi/agent/skills"), "a file").expect("written");
        let closed = place.at("mosaic/skills-local");
        fs::create_dir_all(&closed).expect("made");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).expect("closed");
        assert_eq!(place.words(Mode::All, ""), ["--no-skills", "mosaic/skills/a", "work/.pi/skills/d"]);
    }

    #[test]
    fn a_forced_skill_that_is_nowhere_is_named() {
        let (words, missing) = choose(Mode::None, "gone", &[]);
        assert_eq!((words, missing), (vec!["--no-skills".into()], vec!["gone".to_owned()]));
    }
}
