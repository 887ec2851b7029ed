//! Folders of skills, read.

use std::fs;
use std::path::{Path, PathBuf};

use crate::runtime::pi_skills::{Finder, Root, Skill};

/// Reads the roots; one that cannot be read has no skills.
pub fn read(roots: Vec<(Finder, PathBuf)>) -> Vec<Root> {
    roots.into_iter().map(|(finder, root)| Root { finder, skills: skills(&root) }).collect()
}

/// Every folder in a root, or link to one, that holds SKILL.md; by name.
fn skills(root: &Path) -> Vec<Skill> {
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    let mut places: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    places.sort();
    places.retain(|place| place.join("SKILL.md").is_file());
    places
        .into_iter()
        .map(|path| Skill { real: fs::canonicalize(&path).unwrap_or_else(|_| path.clone()), path })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::runtime::pi_skills::{Mode, choose, roots};

    /// A home with skills in all four roots.
    struct Place {
        dir: tempfile::TempDir,
    }

    impl Place {
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

    fn everywhere() -> Place {
        Place::new(&[
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
        let place = Place::new(&["home/.pi/agent/skills/a"]);
        place.link("mosaic/skills/z", "home/.pi/agent/skills/a");
        place.link("work/.pi/skills/a", "home/.pi/agent/skills/a");
        assert_eq!(place.words(Mode::All, "a"), ["--no-skills", "mosaic/skills/z"]);
    }

    #[test]
    fn two_skills_of_one_name_in_two_roots_are_two() {
        let place = Place::new(&["mosaic/skills/a", "mosaic/skills-local/a"]);
        let expected = ["--no-skills", "mosaic/skills/a", "mosaic/skills-local/a"];
        assert_eq!(place.words(Mode::All, ""), expected);
        assert_eq!(place.words(Mode::None, "a"), expected[..2]);
    }

    #[test]
    fn what_holds_no_skill_file_is_none() {
        let place = Place::new(&["mosaic/skills/a"]);
        fs::create_dir_all(place.at("mosaic/skills/empty")).expect("made");
        fs::write(place.at("mosaic/skills/README.md"), "").expect("written");
        place.link("mosaic/skills/broken", "nowhere");
        assert_eq!(place.words(Mode::All, ""), ["--no-skills", "mosaic/skills/a"]);
    }

    #[test]
    fn a_root_that_cannot_be_read_is_skipped() {
        let place = Place::new(&["mosaic/skills/a", "work/.pi/skills/d"]);
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
