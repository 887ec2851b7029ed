//! Trees that other ways of removing them give up on.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::mkdirat;

use super::*;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// A folder below which `levels` more stand, one in the other, and a file in the last.
fn deep(at: &Path, levels: usize) {
    fs::create_dir(at).expect("made");
    let mut here = openat(CWD, at, READ, Mode::empty()).expect("opened");
    for _ in 0..levels {
        mkdirat(&here, c"below", Mode::RWXU).expect("made");
        here = openat(&here, c"below", READ, Mode::empty()).expect("opened");
    }
    openat(&here, c"last", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).expect("made");
}

#[test]
fn a_tree_of_any_depth_goes() {
    let folder = folder();
    let top = folder.path().join("top");
    deep(&top, 6_000);
    remove(&top).expect("removed");
    assert!(fs::symlink_metadata(&top).is_err());
}

#[test]
fn a_folder_is_emptied_and_stays() {
    let folder = folder();
    for name in ["a/b/c", "a/d", "e"] {
        fs::create_dir_all(folder.path().join(name)).expect("made");
        fs::write(folder.path().join(name).join("x"), "x").expect("written");
    }
    symlink("/nowhere", folder.path().join("a/b/link")).expect("linked");
    empty(folder.path()).expect("emptied");
    assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 0);
    empty(&folder.path().join("none")).expect_err("there is none");
    remove(&folder.path().join("none/of/it")).expect("it is gone");
}

#[test]
fn what_links_lead_to_stays_though_they_are_swapped_meanwhile() {
    let folder = folder();
    let (kept, aside, name) =
        (folder.path().join("kept"), folder.path().join("aside"), folder.path().join("top/a"));
    fs::create_dir(&kept).expect("made");
    fs::write(kept.join("x"), "mine").expect("written");
    symlink(&kept, &aside).expect("linked");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                let _ = rustix::fs::renameat_with(CWD, &aside, CWD, &name, flags);
            }
        });
        for _ in 0..100 {
            fs::create_dir_all(name.join("b/c")).ok();
            fs::write(name.join("b/x"), "x").ok();
            // What is moved away in between may stay.
            let _ = remove(&folder.path().join("top"));
            assert_eq!(fs::read(kept.join("x")).expect("there"), b"mine");
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn what_stays_is_named_to_its_end_with_its_owner_and_counted() {
    let folder = folder();
    let top = folder.path().join("top");
    fs::create_dir_all(top.join("ct/root/etc")).expect("made");
    for name in ["gone", "ct/gone", "ct/root/etc/gone"] {
        fs::write(top.join(name), "x").expect("written");
    }
    for name in ["ct/root/etc", "ct/root"] {
        // What nobody may change stands for what belongs to somebody else, whom root would not meet.
        let immutable = std::process::Command::new("chattr").arg("+i").arg(top.join(name)).output();
        if !immutable.is_ok_and(|done| done.status.success()) {
            return;
        }
    }
    let left = remove(&top).expect_err("it stays");
    for name in ["ct/root", "ct/root/etc"] {
        assert!(
            std::process::Command::new("chattr")
                .arg("-i")
                .arg(top.join(name))
                .status()
                .is_ok_and(|s| s.success())
        );
    }
    assert_eq!(left.path, top.join("ct/root/etc/gone"));
    assert_eq!((left.count, left.owner), (1, Some(geteuid().as_raw())));
    assert!(fs::symlink_metadata(top.join("ct/gone")).is_err(), "what could go has gone");
    remove(&top).expect("nothing keeps it any more");
}
