//! One `apply` of a tenant, one sender to an agent at a time: a lock that the kernel drops with its
//! holder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use super::files;
use super::interrupt::point;
use crate::error::{Error, Result};

/// Held while it lives. Close-on-exec, so that nothing we start inherits it.
#[derive(Debug)]
pub struct Lock {
    held: File,
}

impl Lock {
    /// Its file: the lock is held until every handle of that is closed, also those that a program
    /// was given. So nothing here unlocks; the last one's end does.
    pub fn into_file(self) -> File {
        self.held
    }
}

/// Takes the lock at `path`, waiting at most `limit` for who has it; `waiting` is told its pid.
/// `other` says what the holder is: `apply of this tenant`.
pub fn take(path: &Path, other: &str, limit: Duration, waiting: impl FnOnce(Option<i32>)) -> Result<Lock> {
    let failed = |source| failed(path, source);
    let file = open(path)?;
    let held = match file.try_lock() {
        Ok(()) => file,
        Err(TryLockError::WouldBlock) => {
            waiting(holder(&file));
            wait(file, limit).map_err(|error| match error {
                Waited::Late(holder) => late(other, holder, limit),
                Waited::Refused(error) => failed(error),
            })?
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    };
    ours(held, path)
}

/// Takes the lock at `path` where nobody has it.
pub fn take_free(path: &Path) -> Result<Option<Lock>> {
    let file = open(path)?;
    match file.try_lock() {
        Ok(()) => ours(file, path).map(Some),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(failed(path, error)),
    }
}

fn failed(path: &Path, source: io::Error) -> Error {
    files::FileError { doing: "lock", path: path.to_path_buf(), source }.into()
}

fn open(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        files::make_folder(folder)?;
    }
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK)
        .open(path)
        .map_err(|error| failed(path, error))
}

fn ours(held: File, path: &Path) -> Result<Lock> {
    point("locked");
    name_ourselves(&held).map_err(|error| failed(path, error))?;
    Ok(Lock { held })
}

enum Waited {
    Late(Option<i32>),
    Refused(io::Error),
}

/// The kernel wakes the waiter; a clock only bounds it.
fn wait(file: File, limit: Duration) -> Result<File, Waited> {
    let look = file.try_clone().ok();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let result = file.lock().map(|()| file);
        drop(sender.send(result));
    });
    match receiver.recv_timeout(limit) {
        Ok(result) => result.map_err(Waited::Refused),
        Err(_) => Err(Waited::Late(look.as_ref().and_then(holder))),
    }
}

fn late(other: &str, holder: Option<i32>, limit: Duration) -> Error {
    let seconds = limit.as_secs();
    match holder {
        Some(pid) => {
            Error::machine(format!("another {other} runs (pid {pid}); it did not end within {seconds} s"))
                .hint(format!("see what it does: ps -fp {pid}"))
        }
        None => Error::machine(format!("another {other} runs; it did not end within {seconds} s")),
    }
}

/// Who says to hold the lock.
fn holder(file: &File) -> Option<i32> {
    let mut text = String::new();
    let mut file = file.try_clone().ok()?;
    file.rewind().ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn name_ourselves(mut file: &File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_is_told_who_has_it_and_gives_up_in_time() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("run/apply.lock");
        let _held = take(&path, "apply of this tenant", Duration::ZERO, |_| {}).expect("free");
        let mut told = None;
        let error = take(&path, "apply of this tenant", Duration::from_millis(20), |pid| told = pid)
            .expect_err("held");
        let own = i32::try_from(std::process::id()).expect("a pid");
        assert_eq!(told, Some(own));
        assert!(error.message.contains(&format!("pid {own}")), "{error}");
        assert!(take_free(&path).expect("it can be asked for").is_none());
    }

    #[test]
    fn it_is_held_until_the_last_handle_is_closed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("send.lock");
        let file = take(&path, "send", Duration::ZERO, |_| {}).expect("free").into_file();
        let given = file.try_clone().expect("another handle");
        drop(file);
        assert!(take(&path, "send", Duration::ZERO, |_| {}).is_err());
        drop(given);
        assert!(take_free(&path).expect("it can be asked for").is_some());
    }

    #[test]
    fn a_waiter_gets_it_as_soon_as_it_is_free() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("apply.lock");
        let held = take(&path, "apply of this tenant", Duration::ZERO, |_| {}).expect("free");
        let (sender, receiver) = mpsc::channel();
        let other = path.clone();
        let waiter = std::thread::spawn(move || {
            take(&other, "apply of this tenant", Duration::from_secs(30), |_| {
                let _ = sender.send(());
            })
            .map(drop)
        });
        receiver.recv_timeout(Duration::from_secs(30)).expect("it has to wait");
        drop(held);
        waiter.join().expect("no panic").expect("it gets the lock");
    }
}
