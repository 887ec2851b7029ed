//! Root's own files about tenants: declarations, what was done, retired uids. Owner and mode are checked
//! before one is read: what somebody else could write, root does not carry out.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::host::{clock, files};
use crate::ledger::Sha;
use crate::names::TenantId;
use crate::tenant::books::{Book, Retired, RetiredUids, Spans};
use crate::tenant::place;
use crate::tenant::{self, Declared};
use crate::yaml::MAX_BYTES;

/// One declaration: whose, and what it says or what is wrong with it.
pub type Entry = (TenantId, Result<Declared>);

/// Every declaration, by name; and the names of files there that are none.
pub fn declarations() -> Result<(Vec<Entry>, Vec<String>)> {
    let folder = Path::new(place::DECLARATIONS);
    if !is_private_folder(folder)? {
        return Ok((Vec::new(), Vec::new()));
    }
    let failed = |error: io::Error| Error::machine(format!("read {}: {error}", folder.display()));
    let (mut found, mut others) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        match name.strip_suffix(".yaml").map(TenantId::parse) {
            Some(Ok(tenant)) => {
                let declared = declaration(&tenant);
                found.push((tenant, declared.and_then(|d| d.ok_or_else(|| Error::input("it is gone")))));
            }
            Some(Err(_)) | None => others.push(name),
        }
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    others.sort_unstable();
    Ok((found, others))
}

/// One declaration; `None` where there is none.
pub fn declaration(tenant: &TenantId) -> Result<Option<Declared>> {
    let file = place::declaration(tenant);
    match declaration_text(tenant)? {
        None => Ok(None),
        Some(bytes) => Ok(Some(tenant::read(&bytes, &file, tenant)?)),
    }
}

/// Its text.
pub fn declaration_text(tenant: &TenantId) -> Result<Option<Vec<u8>>> {
    if !is_private_folder(Path::new(place::DECLARATIONS))? {
        return Ok(None);
    }
    private_file(&place::declaration(tenant), MAX_BYTES)
}

/// Writes a declaration.
pub fn declare(tenant: &TenantId, text: &str) -> Result<()> {
    // Tenants pass through this one, where a declarative host keeps their rosters.
    make_open_folder(Path::new("/etc/mosaic"))?;
    Ok(files::replace(&place::declaration(tenant), text.as_bytes(), 0o600)?)
}

/// What was done for a tenant.
pub fn book(tenant: &TenantId) -> Result<Option<Book>> {
    let path = place::book(tenant);
    kept(&path, Book::from_text)
}

/// Keeps it; nothing is written where it stands so already.
pub fn keep(tenant: &TenantId, book: &Book) -> Result<()> {
    private_above()?;
    let (path, text) = (place::book(tenant), book.to_text());
    if private_file(&path, MAX_BYTES)?.is_some_and(|there| there == text.as_bytes()) {
        return Ok(());
    }
    Ok(files::replace(&path, text.as_bytes(), 0o600)?)
}

/// What was done for every tenant; one record that can't be read hides no other.
pub fn books() -> Result<Vec<(TenantId, Result<Book>)>> {
    let folder = Path::new(place::BOOKS);
    if !is_private_folder(folder)? {
        return Ok(Vec::new());
    }
    let failed = |error: io::Error| Error::machine(format!("read {}: {error}", folder.display()));
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        let Some(Ok(tenant)) = name.strip_suffix(".json").map(TenantId::parse) else { continue };
        if let Some(book) = book(&tenant).transpose() {
            found.push((tenant, book));
        }
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

/// Forgets that anything was begun for it; what is declared stays.
pub fn unkeep(tenant: &TenantId) -> Result<()> {
    Ok(files::remove(&place::book(tenant))?)
}

/// Forgets it.
pub fn forget(tenant: &TenantId) -> Result<()> {
    files::remove(&place::book(tenant))?;
    files::remove(&place::declaration(tenant))?;
    Ok(())
}

/// The uids that no tenant gets again.
pub fn retired() -> Result<RetiredUids> {
    Ok(kept(Path::new(place::RETIRED), RetiredUids::from_text)?.unwrap_or_default())
}

/// Adds one, before its user is removed; `stays` where that user is left as it is. Called with the users' lock
/// held.
pub fn retire(uid: u32, user: &str, stays: bool, subordinate: &Spans) -> Result<()> {
    let before = retired()?;
    let mut retired = before.clone();
    let time = clock::rfc3339(clock::unix());
    retired.add(Retired { uid, user: user.to_owned(), time, stays, subordinate: subordinate.clone() });
    if retired == before {
        return Ok(());
    }
    private_above()?;
    Ok(files::replace(Path::new(place::RETIRED), retired.to_text().as_bytes(), 0o600)?)
}

fn private_above() -> Result<()> {
    let folder = Path::new(place::BOOKS);
    files::make_folder(folder)?;
    is_private_folder(folder).map(drop)
}

fn kept<T, E: std::fmt::Display>(path: &Path, read: impl Fn(&str) -> Result<T, E>) -> Result<Option<T>> {
    let refuse = |why: &dyn std::fmt::Display| {
        Error::input(format!("{}: {why}", path.display()))
            .hint("it says what root did for tenants, so nothing is changed while it can't be read")
    };
    let Some(bytes) = private_file(path, MAX_BYTES)? else { return Ok(None) };
    let text = String::from_utf8(bytes).map_err(|_| refuse(&"it is not text"))?;
    read(&text).map(Some).map_err(|error| refuse(&error))
}

/// Whether the folder is there; refuses one that others than root could change or look into.
fn is_private_folder(folder: &Path) -> Result<bool> {
    for part in folder.ancestors() {
        let facts = match fs::symlink_metadata(part) {
            Ok(facts) => facts,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::machine(format!("look at {}: {error}", part.display()))),
        };
        let shown = part.display();
        if !facts.is_dir() {
            return Err(Error::machine(format!("{shown} is not a folder")));
        }
        if facts.uid() != 0 {
            return Err(Error::machine(format!("{shown} belongs to uid {}, not to root", facts.uid()))
                .hint(format!("chown root: {shown}")));
        }
        let unwanted = if part == folder { 0o077 } else { 0o022 };
        if facts.mode() & unwanted != 0 {
            let mode = if part == folder { "0700" } else { "go-w" };
            return Err(Error::machine(format!(
                "{shown} is open to others: mode {:04o}",
                facts.mode() & 0o7777
            ))
            .hint(format!("chmod {mode} {shown}")));
        }
    }
    Ok(folder.exists())
}

/// The bytes of a file that is root's alone.
fn private_file(path: &Path, longest: usize) -> Result<Option<Vec<u8>>> {
    let shown = path.display();
    let failed = |error: io::Error| Error::machine(format!("read {shown}: {error}"));
    let file = match open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
            return Err(Error::machine(format!("{shown} is a link")).hint("put the file itself there"));
        }
        opened => opened.map_err(failed)?,
    };
    let facts = file.metadata().map_err(failed)?;
    if !facts.is_file() {
        return Err(Error::machine(format!("{shown} is not a file")));
    }
    if facts.uid() != 0 {
        return Err(Error::machine(format!("{shown} belongs to uid {}, not to root", facts.uid()))
            .hint(format!("look at what it says, then: chown root: {shown}")));
    }
    if facts.mode() & 0o077 != 0 {
        return Err(Error::machine(format!("{shown} is open to others: mode {:04o}", facts.mode() & 0o7777))
            .hint(format!("look at what it says, then: chmod 0600 {shown}")));
    }
    let mut bytes = Vec::new();
    file.take(longest as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
}

/// Brings the system's files of a tenant to what they should be; whether anything was to be done. The
/// book says so before a file is written. One that was changed by hand is overwritten: the declaration
/// is where limits are decided.
pub fn system_files(tenant: &TenantId, wanted: &[(PathBuf, String)], book: &mut Book) -> Result<bool> {
    let differs =
        |(path, text): &&(PathBuf, String)| !fs::read(path).is_ok_and(|there| there == text.as_bytes());
    let changed: Vec<_> = wanted.iter().filter(differs).collect();
    for (path, text) in wanted {
        book.files.insert(path.clone(), Sha::of(text.as_bytes()).to_string());
    }
    book.reload_due |= !changed.is_empty();
    keep(tenant, book)?;
    for (path, text) in &changed {
        if let Some(folder) = path.parent() {
            make_open_folder(folder)?;
        }
        files::replace(path, text.as_bytes(), 0o644)?;
    }
    Ok(!changed.is_empty())
}

/// Removes what the book names, where it stands as we wrote it; the paths that were kept.
pub fn remove_system_files(book: &Book) -> Result<Vec<PathBuf>> {
    let mut kept = Vec::new();
    for (path, sha) in &book.files {
        match fs::read(path) {
            Ok(there) if Sha::of(&there).to_string() == *sha => files::remove(path)?,
            Ok(_) => kept.push(path.clone()),
            Err(_) => {}
        }
        if let Some(folder) = path.parent() {
            files::remove_empty_folder(folder);
        }
    }
    Ok(kept)
}

/// A folder that everybody may look into, whatever root's umask.
fn make_open_folder(folder: &Path) -> Result<()> {
    let failed = |error: io::Error| Error::machine(format!("make {}: {error}", folder.display()));
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => {
            made.and_then(|()| fs::set_permissions(folder, Permissions::from_mode(0o755))).map_err(failed)
        }
    }
}
