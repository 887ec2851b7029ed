//! What a declarative host put here: files that are links into a store, and the links of a home that
//! lead to a tenant's rendered files. Only links of that kind are made, replaced or removed here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{files, runfiles};
use crate::layout::{DECLARED, Layout};
use crate::names::TenantId;
use crate::snapshot::{Fact, FileFacts};

/// Where package managers keep files that nobody changes.
const STORES: [&str; 2] = ["/nix/store", "/gnu/store"];
/// The roster and what else of the folder has no link in a home.
const NOT_LINKED: [&str; 1] = ["roster.yaml"];
/// No honest tree of rendered files is deeper.
const DEEPEST: usize = 8;
/// No file of ours is longer.
const LONGEST: usize = 4 * 1024 * 1024;

/// What a link is that stands in the place of a file.
pub fn facts(path: &Path, link: PathBuf, longest: usize) -> Fact<FileFacts> {
    let Some(target) = path.canonicalize().ok().filter(|target| is_of_the_machine(target)) else {
        return Fact::Known(FileFacts::Link(link));
    };
    match runfiles::read(&target, longest) {
        Ok(Some(FileFacts::File { content, .. })) => Fact::Known(FileFacts::Declared { content, link }),
        Ok(_) => Fact::Known(FileFacts::Link(link)),
        Err(error) => Fact::Unknown(error.to_string()),
    }
}

/// Whether only the machine's configuration changes what is there.
fn is_of_the_machine(path: &Path) -> bool {
    STORES.iter().any(|store| path.starts_with(store)) || path.starts_with(DECLARED)
}

/// The tenant's places as they are on this machine: where its home has no roster of its own and a
/// declarative host holds one, units and files are the host's.
pub fn places(layout: Layout, user: &str) -> Layout {
    let Ok(tenant) = TenantId::parse(user) else { return layout };
    let folder = Layout::declared(&tenant);
    let here = folder.join("roster.yaml").is_file() && layout.roster().symlink_metadata().is_err();
    if here { layout.declared_in(folder) } else { layout }
}

/// Makes the links of the home that lead to the tenant's rendered files, and takes away those that lead
/// to files which are gone. What stands there and is something else is left alone: it is returned.
pub fn link_home(layout: &Layout) -> io::Result<Vec<PathBuf>> {
    let Some(folder) = layout.declared_at() else { return Ok(Vec::new()) };
    let mut links = Vec::new();
    collect(folder, folder, DEEPEST, &mut links)?;
    let mut kept = Vec::new();
    let mut folders: Vec<PathBuf> = vec![layout.agents(), layout.fleet()];
    for below in links {
        let (target, path) = (folder.join(&below), in_home(layout, &below));
        folders.extend(path.parent().map(Path::to_path_buf));
        if !link(&path, &target)? {
            kept.push(path);
        }
    }
    folders.sort_unstable();
    folders.dedup();
    folders.iter().try_for_each(|home| sweep(home, folder))?;
    Ok(kept)
}

/// Links of the home that lead to files of a tenant's which are gone.
pub fn dangling(layout: &Layout) -> Vec<PathBuf> {
    let Some(folder) = layout.declared_at() else { return Vec::new() };
    let leads_nowhere =
        |path: &PathBuf| fs::read_link(path).is_ok_and(|says| says.starts_with(folder)) && !path.exists();
    let entries =
        [layout.agents(), layout.fleet()].into_iter().filter_map(|folder| fs::read_dir(folder).ok());
    entries.flatten().flatten().map(|entry| entry.path()).filter(leads_nowhere).collect()
}

/// Where the home has the link to a file of the folder.
fn in_home(layout: &Layout, below: &Path) -> PathBuf {
    let of_framework = below.starts_with("tools") || below.starts_with("framework");
    if of_framework { layout.mosaic().join(below) } else { layout.fleet().join(below) }
}

/// All files of the folder, relative to it. Links are followed: they are the machine's.
fn collect(folder: &Path, top: &Path, depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Ok(below) = path.strip_prefix(top) else { continue };
        if NOT_LINKED.iter().any(|name| below == Path::new(name)) {
            continue;
        }
        if path.is_dir() {
            if depth > 0 {
                collect(&path, top, depth - 1, found)?;
            }
        } else if path.is_file() {
            found.push(below.to_path_buf());
        }
    }
    Ok(())
}

/// Makes one link; whether it stands there now.
fn link(path: &Path, target: &Path) -> io::Result<bool> {
    let stands = || fs::read_link(path).is_ok_and(|says| says == target);
    if stands() {
        return Ok(true);
    }
    let free = match runfiles::read(path, LONGEST)? {
        None => true,
        Some(FileFacts::Link(says)) => is_of_the_machine(&says),
        // What was written before this host was a declarative one, and says the same.
        Some(FileFacts::File { content, .. }) => fs::read(target)? == content,
        Some(FileFacts::Declared { .. } | FileFacts::Other(_)) => false,
    };
    if !free {
        return Ok(false);
    }
    match files::link(path, target) {
        // Somebody else does the same at the same time.
        Err(_) if stands() => Ok(true),
        Err(error) => Err(io::Error::new(error.source.kind(), error.to_string())),
        Ok(()) => Ok(true),
    }
}

/// Removes links of a folder that lead to files of ours which are gone.
fn sweep(home: &Path, folder: &Path) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(home) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        let ours = fs::read_link(&path).is_ok_and(|says| says.starts_with(folder));
        if ours && !path.exists() {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A home and a folder of rendered files, both in one temporary folder.
    fn host() -> (tempfile::TempDir, Layout) {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("declared");
        for file in ["roster.yaml", "tmux.conf", "agents/a.env", "tools/fleet/start-agent-session.sh"] {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, file).expect("written");
        }
        let layout = Layout::new(root.path().join("home"), None).declared_in(folder);
        (root, layout)
    }

    #[test]
    fn a_home_gets_links_to_everything_but_the_roster() {
        let (_root, layout) = host();
        assert_eq!(link_home(&layout).expect("linked"), Vec::<PathBuf>::new());
        let read = |path: PathBuf| fs::read_to_string(path).expect("it leads there");
        assert_eq!(read(layout.tmux_conf()), "tmux.conf");
        assert_eq!(read(layout.agents().join("a.env")), "agents/a.env");
        assert_eq!(read(layout.start_script()), "tools/fleet/start-agent-session.sh");
        assert!(!layout.roster().exists(), "a roster in the home would be the home's own");
    }

    #[test]
    fn a_link_whose_file_is_gone_goes_and_the_operators_own_files_stay() {
        let (_root, layout) = host();
        link_home(&layout).expect("linked");
        let local = layout.agents().join("a.local.env");
        fs::write(&local, "A=1\n").expect("written");
        symlink("/nowhere", layout.agents().join("mine.env")).expect("linked");
        fs::remove_file(layout.declared_at().expect("declared").join("agents/a.env")).expect("removed");
        assert_eq!(dangling(&layout), [layout.agents().join("a.env")]);
        link_home(&layout).expect("linked");
        assert_eq!(dangling(&layout), Vec::<PathBuf>::new());
        assert!(layout.agents().join("a.env").symlink_metadata().is_err());
        assert!(local.exists() && layout.agents().join("mine.env").symlink_metadata().is_ok());
    }

    #[test]
    fn a_file_of_somebody_elses_is_kept_and_told() {
        let (_root, layout) = host();
        fs::create_dir_all(layout.agents()).expect("made");
        fs::write(layout.tmux_conf(), "mine").expect("written");
        fs::write(layout.agents().join("a.env"), "agents/a.env").expect("written");
        assert_eq!(link_home(&layout).expect("linked"), [layout.tmux_conf()]);
        assert_eq!(fs::read_to_string(layout.tmux_conf()).expect("there"), "mine");
        assert!(layout.agents().join("a.env").is_symlink(), "the same text, so nothing is lost");
    }

    #[test]
    fn a_link_that_does_not_lead_into_a_store_is_only_a_link() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("l");
        symlink("/etc/passwd", &path).expect("linked");
        let link = FileFacts::Link("/etc/passwd".into());
        assert_eq!(facts(&path, "/etc/passwd".into(), 10), Fact::Known(link));
    }
}
