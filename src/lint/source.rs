//! The unit files and drop-ins of systemd's search path, and which of them make up one unit.
//! What they say is read in `words`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::render::File;

/// What stands at a unit's or drop-in's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// Its text.
    Plain(String),
    /// Nothing, or a link to /dev/null: whatever would come after it does not count.
    Masked,
    /// A link to a unit of another name.
    Alias(String),
    /// It could not be read; why.
    Unreadable(String),
}

/// One file of the search path: a unit's own, or a drop-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source<'a> {
    /// Where.
    pub path: PathBuf,
    /// What stands there.
    pub text: &'a Text,
}

/// One folder of the search path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Folder {
    /// Where.
    pub path: PathBuf,
    /// Its unit files by name.
    pub units: BTreeMap<String, Text>,
    /// Its drop-ins by the name of their folder, `a.service.d`, and their own.
    pub drop_ins: BTreeMap<String, BTreeMap<String, Text>>,
}

/// Everything of the search path, the folders that count first first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources {
    /// The folders.
    pub folders: Vec<Folder>,
}

impl Sources {
    /// As it will be with these files in place.
    pub fn with<'a>(&self, files: impl Iterator<Item = &'a File>) -> Self {
        let mut after = self.clone();
        for file in files {
            let (folder, drop_in) = place(&file.path);
            let at = match after.folders.iter().position(|f| f.path == folder) {
                Some(at) => at,
                None => {
                    after.folders.insert(0, Folder { path: folder.to_path_buf(), ..Folder::default() });
                    0
                }
            };
            let Some(name) = file.path.file_name().map(|n| n.to_string_lossy().into_owned()) else {
                continue;
            };
            let text = Text::Plain(file.content.clone());
            let folder = &mut after.folders[at];
            match drop_in {
                Some(of) => folder.drop_ins.entry(of).or_default().insert(name, text),
                None => folder.units.insert(name, text),
            };
        }
        after
    }

    /// The file that a unit is read from: its own, else its template's, in the folder that counts.
    pub fn fragment(&self, unit: &str) -> Option<Source<'_>> {
        let find = |name: &str| {
            let (folder, text) = self.folders.iter().find_map(|f| Some((f, f.units.get(name)?)))?;
            Some(Source { path: folder.path.join(name), text })
        };
        find(unit).or_else(|| find(&template_of(unit)?))
    }

    /// A unit's drop-ins. Of those with one name the first counts, and none where it masks them.
    pub fn drop_ins(&self, unit: &str) -> Vec<Source<'_>> {
        let names = drop_in_folders(unit);
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for folder in &self.folders {
            for below in &names {
                for (name, text) in folder.drop_ins.get(below).into_iter().flatten() {
                    if seen.insert(name) && *text != Text::Masked {
                        found.push(Source { path: folder.path.join(below).join(name), text });
                    }
                }
            }
        }
        found
    }
}

/// The folder of the search path that a file is in, and the drop-in folder where it is in one.
fn place(path: &Path) -> (&Path, Option<String>) {
    let folder = path.parent().unwrap_or(Path::new("/"));
    match (folder.extension(), folder.file_name()) {
        (Some(d), Some(name)) if d == "d" => {
            (folder.parent().unwrap_or(folder), Some(name.to_string_lossy().into_owned()))
        }
        _ => (folder, None),
    }
}

/// A unit's template, `a@.service` of `a@x.service`.
pub fn template_of(unit: &str) -> Option<String> {
    let (prefix, rest) = unit.split_once('@')?;
    let (instance, kind) = rest.rsplit_once('.')?;
    (!instance.is_empty()).then(|| format!("{prefix}@.{kind}"))
}

/// What stands between the `@` and the type.
pub fn instance_of(unit: &str) -> Option<&str> {
    Some(unit.split_once('@')?.1.rsplit_once('.')?.0)
}

/// The names of folders whose drop-ins a unit takes: its own, its template's, those of each
/// beginning of its name that ends in a dash, and its type's.
fn drop_in_folders(unit: &str) -> Vec<String> {
    let mut names = vec![format!("{unit}.d")];
    names.extend(template_of(unit).map(|template| format!("{template}.d")));
    let Some((stem, kind)) = unit.rsplit_once('.') else { return names };
    let prefix = stem.split_once('@').map_or(stem, |(prefix, _)| prefix);
    let dashes: Vec<usize> = prefix.match_indices('-').map(|(at, _)| at).collect();
    names.extend(dashes.iter().rev().map(|at| format!("{}.{kind}.d", &prefix[..=*at])));
    names.push(format!("{kind}.d"));
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::Role;

    fn sources(paths: &[&str]) -> Sources {
        let folder = |path: &str| Folder { path: path.into(), ..Folder::default() };
        let bare = Sources { folders: vec![folder("/own"), folder("/usr")] };
        let files: Vec<File> =
            paths.iter().map(|p| File::new(p.into(), String::new(), Role::AgentTemplate)).collect();
        bare.with(files.iter())
    }

    #[test]
    fn a_units_drop_ins_are_those_of_every_folder_that_is_for_it() {
        let all = [
            "/own/mosaic-agent@a.service.d/1.conf",
            "/own/mosaic-agent@.service.d/2.conf",
            "/own/mosaic-.service.d/3.conf",
            "/usr/service.d/4.conf",
        ];
        let mut with_others = all.to_vec();
        with_others.extend(["/own/mosaic-agent@b.service.d/5.conf", "/usr/mosaic-agent@.service.d/2.conf"]);
        let sources = sources(&with_others);
        let found: Vec<_> = sources.drop_ins("mosaic-agent@a.service").into_iter().map(|s| s.path).collect();
        assert_eq!(found, all.map(PathBuf::from));
        let holder = sources.drop_ins("mosaic-tmux-holder.service");
        assert_eq!(holder.len(), 2, "{holder:?}");
    }

    #[test]
    fn a_drop_in_that_is_empty_masks_its_namesakes() {
        let mut sources = sources(&["/own/a.service.d/x.conf", "/usr/a.service.d/x.conf"]);
        let first = sources.folders[0].drop_ins.get_mut("a.service.d").expect("there");
        first.insert("x.conf".to_owned(), Text::Masked);
        assert_eq!(sources.drop_ins("a.service"), []);
    }

    #[test]
    fn a_unit_is_read_from_its_own_file_before_its_templates() {
        let both = sources(&["/own/a@.service", "/usr/a@x.service", "/usr/a@.service"]);
        let path = |unit: &str| both.fragment(unit).map(|s| s.path);
        assert_eq!(path("a@x.service"), Some("/usr/a@x.service".into()));
        assert_eq!(path("a@y.service"), Some("/own/a@.service".into()));
        assert_eq!(path("b.service"), None);
    }
}
