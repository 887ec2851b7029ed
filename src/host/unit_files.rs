//! Reads the unit files and drop-ins of a user manager's search path. What they mean is judged
//! elsewhere.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::runfiles;
use super::users::runtime_dir;
use crate::layout::{Layout, MACHINE_UNITS};
use crate::lint::{Folder, Sources, Text, template_of};
use crate::snapshot::{Fact, FileFacts};

/// No honest unit file is longer.
const LONGEST: usize = 256 * 1024;
/// Where XDG has the machine's units for users.
const XDG_UNITS: &str = "/etc/xdg/systemd/user";
/// More entries than this in one folder are no honest folder.
const MOST: usize = 10_000;
/// The kinds of units that take part in a start.
const KINDS: [&str; 5] = ["service", "target", "socket", "timer", "path"];

/// The folders that a user manager reads units from, the ones that count first first
/// (systemd.unit(5), "User Unit Search Path").
pub fn search_path(layout: &Layout, uid: u32) -> Vec<PathBuf> {
    let config = layout.home().join(".config/systemd");
    let runtime = runtime_dir(uid).join("systemd");
    let mut folders = vec![
        config.join("user.control"),
        runtime.join("user.control"),
        runtime.join("transient"),
        runtime.join("generator.early"),
        layout.own_units(),
        XDG_UNITS.into(),
        MACHINE_UNITS.into(),
        runtime.join("user"),
        "/run/systemd/user".into(),
        runtime.join("generator"),
        layout.home().join(".local/share/systemd/user"),
        "/usr/local/share/systemd/user".into(),
        "/usr/share/systemd/user".into(),
        "/usr/local/lib/systemd/user".into(),
        "/usr/lib/systemd/user".into(),
        runtime.join("generator.late"),
    ];
    // On Debian the one is a link to the other, and each file would count twice.
    let (xdg, machine) = (Path::new(XDG_UNITS), Path::new(MACHINE_UNITS));
    if xdg.canonicalize().is_ok_and(|real| machine.canonicalize().is_ok_and(|own| own == real)) {
        folders.retain(|folder| folder != xdg);
    }
    folders
}

/// All unit files and drop-ins of the folders; one that is absent holds none.
pub fn read(folders: &[PathBuf]) -> Fact<Sources> {
    let read: io::Result<Vec<Folder>> = folders.iter().map(|path| folder(path)).collect();
    read.map(|folders| Sources { folders }).into()
}

fn folder(path: &Path) -> io::Result<Folder> {
    let mut found = Folder { path: path.to_path_buf(), ..Folder::default() };
    for name in names(path)? {
        let below = path.join(&name);
        if name.ends_with(".d") {
            let drop_ins = names(&below)?.into_iter().filter(|n| n.ends_with(".conf"));
            found.drop_ins.insert(name, drop_ins.map(|n| (n.clone(), text(&below.join(&n), &n))).collect());
        } else if Path::new(&name).extension().is_some_and(|e| KINDS.iter().any(|k| e == *k)) {
            found.units.insert(name.clone(), text(&below, &name));
        }
    }
    Ok(found)
}

/// The names in a folder; none where there is no such folder.
pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let shown = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", folder.display()));
    let list = match fs::read_dir(folder) {
        Ok(list) => list,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(shown(error)),
    };
    let mut found = Vec::new();
    for entry in list {
        // No unit has a name that is not text.
        if let Ok(name) = entry.map_err(shown)?.file_name().into_string() {
            found.push(name);
        }
        if found.len() > MOST {
            return Err(shown(io::Error::other("too many entries")));
        }
    }
    Ok(found)
}

/// What stands at a unit's or drop-in's path. systemd follows links, and a link to a unit of
/// another name makes the two one unit.
fn text(path: &Path, name: &str) -> Text {
    let facts = match runfiles::read(path, LONGEST) {
        Ok(Some(FileFacts::Link(_))) => match fs::canonicalize(path) {
            Ok(target) if target == Path::new("/dev/null") => return Text::Masked,
            Ok(target) => {
                let same = |own: &str| own == name || Some(own) == template_of(name).as_deref();
                let own = target.file_name().and_then(|n| n.to_str());
                if let Some(own) = own.filter(|own| !same(own) && !name.ends_with(".conf")) {
                    return Text::Alias(own.to_owned());
                }
                runfiles::read(&target, LONGEST)
            }
            Err(error) => Err(error),
        },
        other => other,
    };
    match facts {
        Ok(Some(FileFacts::File { content, .. })) if content.len() > LONGEST => {
            Text::Unreadable("it is too long for a unit file".to_owned())
        }
        Ok(Some(FileFacts::File { content, .. })) if content.is_empty() => Text::Masked,
        Ok(Some(FileFacts::File { content, .. })) => {
            Text::Plain(String::from_utf8_lossy(&content).into_owned())
        }
        Ok(Some(FileFacts::Link(_) | FileFacts::Declared { .. }) | None) => {
            Text::Unreadable("the link leads nowhere".to_owned())
        }
        Ok(Some(FileFacts::Other(what))) => Text::Unreadable(format!("{what} stands there")),
        Err(error) => Text::Unreadable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn units_drop_ins_masks_and_aliases_are_told_apart() {
        let home = tempfile::tempdir().expect("a folder");
        let at = |name: &str| home.path().join(name);
        fs::create_dir_all(at("a.service.d")).expect("made");
        fs::write(at("a.service"), "[Unit]\n").expect("written");
        fs::write(at("a.service.d/x.conf"), "[Service]\n").expect("written");
        fs::write(at("a.service.d/empty.conf"), "").expect("written");
        fs::write(at("a.service.d/x.conf~"), "no\n").expect("written");
        fs::write(at("notes.txt"), "no\n").expect("written");
        symlink("/dev/null", at("masked.service")).expect("linked");
        symlink("a.service", at("other.service")).expect("linked");
        symlink("nowhere", at("gone.service")).expect("linked");
        nix::unistd::mkfifo(&at("pipe.service"), nix::sys::stat::Mode::S_IRWXU).expect("made");
        let Fact::Known(sources) = read(&[home.path().to_path_buf(), at("none")]) else { panic!("read") };
        let folder = &sources.folders[0];
        assert_eq!(folder.units["a.service"], Text::Plain("[Unit]\n".to_owned()));
        assert_eq!(folder.units["masked.service"], Text::Masked);
        assert_eq!(folder.units["other.service"], Text::Alias("a.service".to_owned()));
        assert!(matches!(folder.units["gone.service"], Text::Unreadable(_)));
        assert!(matches!(folder.units["pipe.service"], Text::Unreadable(_)));
        assert_eq!(folder.units.len(), 5);
        let drop_ins = &folder.drop_ins["a.service.d"];
        assert_eq!((drop_ins.len(), &drop_ins["empty.conf"]), (2, &Text::Masked));
        assert_eq!(sources.folders[1].units.len(), 0);
    }
}
