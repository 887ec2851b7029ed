//! Small files below `fleet/run`: replaced whole, read bounded, never through a link.
//!
//! Several programs write here at any moment. No fsync: what stands here is worth nothing after a
//! power cut, and a disk must not be woken for it.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, Flock, FlockArg, OFlag, openat};
use nix::sys::stat::{Mode, fstatat};

use crate::snapshot::{Content, FileFacts};

/// More than nearly all files here have.
const MOST: usize = 2048;

/// Who waits for a lock looks again after so long at most.
const LOOK_AGAIN: Duration = Duration::from_millis(8);

/// Replaces a file's content at once: a reader sees the old or the new one, never a part. A link
/// that stands there is replaced, not followed.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    prepare(path, content)?.put()
}

/// Content that is written, and does not stand in its place yet. Dropped, it is gone.
#[derive(Debug)]
pub struct Prepared<'a> {
    file: tempfile::NamedTempFile,
    path: &'a Path,
}

/// Writes what is to stand at a path beside it: what fails for want of room fails here.
pub fn prepare<'a>(path: &'a Path, content: &[u8]) -> io::Result<Prepared<'a>> {
    let (folder, name) = split(path)?;
    let mut file = tempfile::Builder::new()
        .prefix(&format!(".{name}."))
        .permissions(fs::Permissions::from_mode(0o600))
        .tempfile_in(folder)?;
    file.write_all(content)?;
    Ok(Prepared { file, path })
}

impl Prepared<'_> {
    /// Puts it there.
    pub fn put(self) -> io::Result<()> {
        self.file.persist(self.path)?;
        Ok(())
    }
}

/// What stands at a path; `None` where nothing does. Of a file at most `longest` bytes and one
/// more are read, so that the caller sees that it is too long. Never waits: not for a FIFO's
/// writer, not for a device.
pub fn read(path: &Path, longest: usize) -> io::Result<Option<FileFacts>> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY)
        .open(path);
    match opened {
        Ok(file) => facts(file, longest).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => unopened(path, error),
    }
}

/// Whether a file was written at or after `since`, seconds since 1970.
pub fn changed_since(path: &Path, since: f64) -> bool {
    let modified = fs::symlink_metadata(path).and_then(|facts| facts.modified()).ok();
    let seconds = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    seconds.is_some_and(|time| time.as_secs_f64() >= since)
}

/// What an open file is.
fn facts(mut file: File, longest: usize) -> io::Result<FileFacts> {
    let facts = file.metadata()?;
    if !facts.is_file() {
        return Ok(FileFacts::Other(kind(facts.file_type()).to_owned()));
    }
    // Room for as much as it has and a byte more: a read that does not fill it was the whole file.
    let length = usize::try_from(facts.len()).unwrap_or(longest).min(longest);
    let mut content = vec![0; length + 1];
    let read = file.read(&mut content)?;
    content.truncate(read);
    if read > length {
        file.take((longest + 1).saturating_sub(read) as u64).read_to_end(&mut content)?;
    }
    Ok(FileFacts::File { content, mode: facts.permissions().mode() & 0o7777 })
}

/// What an open file holds. Asking what it is costs a third of all that reading it does, and bytes at a
/// place are had of plain files alone: a folder, a FIFO and a terminal have none.
fn content(file: File, longest: usize) -> io::Result<Content> {
    let mut buffer = [0; MOST];
    match file.read_at(&mut buffer, 0) {
        Ok(read) if (1..MOST.min(longest + 1)).contains(&read) => {
            Ok(Content::File(buffer.get(..read).unwrap_or_default().to_vec()))
        }
        _ => facts(file, longest).map(Content::from),
    }
}

/// A folder held open: what is in it is opened by its name alone, without the walk from the root
/// that each path costs.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    opened: Result<OwnedFd, Errno>,
}

impl Folder {
    /// The folder at that path. One that is not there, or is none, has nothing in it; one that can't
    /// be opened tells so for each of its files.
    pub fn open(path: PathBuf) -> Self {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Self { opened: nix::fcntl::open(&path, flags, Mode::empty()), path }
    }

    /// As [`read`], of the file of that name.
    pub fn read(&self, name: &str, longest: usize) -> io::Result<Option<FileFacts>> {
        match self.file(name) {
            Ok(file) => facts(file, longest).map(Some),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(errno) => unopened(&self.path.join(name), errno.into()),
        }
    }

    /// The same where nothing but its content matters.
    pub fn content(&self, name: &str, longest: usize) -> io::Result<Option<Content>> {
        match self.file(name) {
            Ok(file) => content(file, longest).map(Some),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(errno) => Ok(unopened(&self.path.join(name), errno.into())?.map(Content::from)),
        }
    }

    fn file(&self, name: &str) -> Result<File, Errno> {
        let flags =
            OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
        openat(self.fd()?, name, flags, Mode::empty()).map(File::from)
    }

    /// The stamp of the file of that name.
    pub fn stamp(&self, name: &str) -> Stamp {
        match self.fd().and_then(|fd| fstatat(fd, name, AtFlags::AT_SYMLINK_NOFOLLOW)) {
            Ok(facts) => Stamp(Some([
                facts.st_dev.cast_signed(),
                facts.st_ino.cast_signed(),
                facts.st_size,
                facts.st_mtime,
                facts.st_mtime_nsec,
                facts.st_ctime,
                facts.st_ctime_nsec,
            ])),
            Err(_) => Stamp(None),
        }
    }

    fn fd(&self) -> Result<&OwnedFd, Errno> {
        self.opened.as_ref().map_err(|errno| *errno)
    }
}

/// The stamps of an agent's two environment files in one text.
pub fn stamps(rendered: Stamp, local: Stamp) -> String {
    format!("{rendered} {local}")
}

/// By what a file is known not to have changed: the kernel alone sets the time of its last change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp(Option<[i64; 7]>);

impl Stamp {
    /// Of a file that is open.
    pub fn of(file: &File) -> io::Result<Self> {
        let facts = file.metadata()?;
        let size = i64::try_from(facts.len()).unwrap_or(i64::MAX);
        Ok(Self(Some([
            facts.dev().cast_signed(),
            facts.ino().cast_signed(),
            size,
            facts.mtime(),
            facts.mtime_nsec(),
            facts.ctime(),
            facts.ctime_nsec(),
        ])))
    }
}

impl fmt::Display for Stamp {
    /// One word; `-` where nothing stands.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(numbers) = self.0 else { return f.write_str("-") };
        for (at, number) in numbers.iter().enumerate() {
            write!(f, "{}{number:x}", if at == 0 { "" } else { "." })?;
        }
        Ok(())
    }
}

/// The bytes of a plain file beyond `from`, at most `longest`; of one that is shorter than that, as
/// one that began anew is, all. With where the next look goes on.
pub fn read_on(path: &Path, from: u64, longest: u64) -> io::Result<(Vec<u8>, u64)> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY)
        .open(path);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        Err(error) => return Err(error),
    };
    let facts = file.metadata()?;
    if !facts.is_file() {
        return Err(io::Error::other(format!(
            "{} is {}, not a file",
            path.display(),
            kind(facts.file_type())
        )));
    }
    let from = if facts.len() < from { 0 } else { from };
    file.seek(io::SeekFrom::Start(from))?;
    let mut content = Vec::new();
    let read = file.take(longest).read_to_end(&mut content)?;
    Ok((content, from + read as u64))
}

/// The text of a plain file; `None` where there is none, or something else, or too much.
pub fn read_text(path: &Path, longest: usize) -> Option<String> {
    match read(path, longest) {
        Ok(Some(FileFacts::File { content, .. })) if content.len() <= longest => {
            String::from_utf8(content).ok()
        }
        _ => None,
    }
}

/// The text of a file of the machine's, which a link may lead to; `None` as for [`read_text`].
pub fn follow_text(path: &Path, longest: usize) -> Option<String> {
    read_text(&path.canonicalize().ok()?, longest)
}

/// Adds a line at the end in one write. A file that has grown beyond `longest` begins anew with
/// the later half of its lines: whoever follows it sees it shrink, as with any rotated log.
pub fn append(path: &Path, line: &str, longest: usize) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)?;
    let facts = file.metadata()?;
    if !facts.is_file() {
        return Err(io::Error::other(format!(
            "{} is {}, not a file",
            path.display(),
            kind(facts.file_type())
        )));
    }
    if facts.len() as usize + line.len() <= longest {
        return file.write_all(line.as_bytes());
    }
    let content = match read(path, usize::try_from(facts.len()).unwrap_or(usize::MAX))? {
        Some(FileFacts::File { content, .. }) => content,
        _ => Vec::new(),
    };
    let middle = content.len().saturating_sub(longest / 2);
    let from = content[middle..].iter().position(|b| *b == b'\n').map_or(content.len(), |at| middle + at + 1);
    replace(path, &[&content[from..], line.as_bytes()].concat())
}

/// Makes the folder, for its owner alone, with all above it.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().recursive(true).mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        result => result,
    }
}

/// Takes the lock that a file stands for, and holds it as long as the result lives. Waits a quarter
/// of a second at most: whoever holds it needs microseconds on an idle machine, or hangs.
pub fn lock_briefly(path: &Path) -> io::Result<Option<Flock<File>>> {
    lock_within(path, Duration::from_millis(250))
}

/// The same, for a lock under which others wait for the disk.
pub fn lock_within(path: &Path, limit: Duration) -> io::Result<Option<Flock<File>>> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)?;
    let until = Instant::now() + limit;
    let mut pause = Duration::from_millis(1);
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(Some(lock)),
            Err((back, Errno::EWOULDBLOCK)) if Instant::now() < until => {
                file = back;
                std::thread::sleep(pause);
                pause = (pause * 2).min(LOOK_AGAIN);
            }
            Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
            Err((_, errno)) => return Err(errno.into()),
        }
    }
}

fn unopened(path: &Path, error: io::Error) -> io::Result<Option<FileFacts>> {
    match error.raw_os_error() {
        Some(libc::ELOOP) => Ok(Some(FileFacts::Link(fs::read_link(path)?))),
        Some(libc::ENXIO) => {
            let found = fs::symlink_metadata(path)?.file_type();
            Ok(Some(FileFacts::Other(kind(found).to_owned())))
        }
        _ => Err(error),
    }
}

fn kind(found: fs::FileType) -> &'static str {
    match () {
        () if found.is_dir() => "a folder",
        () if found.is_fifo() => "a FIFO",
        () if found.is_socket() => "a socket",
        () => "a device",
    }
}

fn split(path: &Path) -> io::Result<(&Path, &str)> {
    let name = path.file_name().and_then(|n| n.to_str());
    path.parent().zip(name).ok_or_else(|| io::Error::other(format!("{} is no file's path", path.display())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn content(path: &Path) -> String {
        fs::read_to_string(path).expect("readable")
    }

    #[test]
    fn a_file_is_replaced_whole_for_its_owner_alone_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.hb");
        replace(&path, b"one").expect("written");
        replace(&path, b"two").expect("written");
        assert_eq!(content(&path), "two");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 1);
    }

    #[test]
    fn a_link_is_replaced_and_what_it_leads_to_is_not_touched() {
        let dir = tempfile::tempdir().expect("a folder");
        let (path, other) = (dir.path().join("a.hb"), dir.path().join("other"));
        fs::write(&other, "mine").expect("written");
        symlink(&other, &path).expect("linked");
        assert_eq!(read(&path, 100).expect("looked at"), Some(FileFacts::Link(other.clone())));
        assert!(append(&path, "x\n", 100).is_err());
        replace(&path, b"beat").expect("written");
        assert_eq!((content(&path), content(&other)), ("beat".to_owned(), "mine".to_owned()));
    }

    #[test]
    fn what_is_no_file_is_named_and_never_waited_for() {
        let dir = tempfile::tempdir().expect("a folder");
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, Mode::S_IRUSR).expect("made");
        let socket = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("bound");
        for (path, kind) in [(fifo.as_path(), "a FIFO"), (dir.path(), "a folder"), (&socket, "a socket")] {
            assert_eq!(read(path, 100).expect("looked at"), Some(FileFacts::Other(kind.to_owned())));
        }
        assert_eq!(read(&dir.path().join("none"), 100).expect("looked at"), None);
    }

    #[test]
    fn a_folder_that_is_held_open_says_the_same_as_the_paths_of_its_files() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = |name: &str| dir.path().join(name);
        fs::write(file("plain"), "text").expect("written");
        fs::write(file("empty"), "").expect("written");
        symlink("plain", file("link")).expect("linked");
        nix::unistd::mkfifo(&file("fifo"), Mode::S_IRUSR).expect("made");
        fs::create_dir(file("folder")).expect("made");
        let folder = Folder::open(dir.path().to_owned());
        for length in [MOST - 1, MOST, MOST + 1, 3 * MOST] {
            fs::write(file(&length.to_string()), "x".repeat(length)).expect("written");
        }
        let lengths = [MOST - 1, MOST, MOST + 1, 3 * MOST].map(|length| length.to_string());
        let names = ["plain", "empty", "link", "fifo", "folder", "none"];
        for name in names.into_iter().chain(lengths.iter().map(String::as_str)) {
            for longest in [2, 4, 100, MOST - 1, MOST, 4 * MOST] {
                let by_path = read(&file(name), longest).expect("looked at");
                assert_eq!(
                    folder.content(name, longest).expect("looked at"),
                    by_path.clone().map(Content::from),
                    "{name}"
                );
                assert_eq!(folder.read(name, longest).expect("looked at"), by_path, "{name}");
            }
        }
        for path in [file("none"), file("plain")] {
            assert_eq!(Folder::open(path).read("x", 1).expect("nothing is there"), None);
        }
    }

    #[test]
    fn a_stamp_changes_with_its_file_and_is_the_same_by_name_and_open() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.env");
        let folder = Folder::open(dir.path().to_owned());
        assert_eq!(
            (folder.stamp("a.env"), folder.stamp("a.env").to_string()),
            (Stamp::default(), "-".into())
        );
        fs::write(&path, "A=1\n").expect("written");
        let open = Stamp::of(&File::open(&path).expect("opened")).expect("its facts");
        let before = folder.stamp("a.env");
        assert_eq!((open, open.to_string()), (before, before.to_string()));
        assert!(!before.to_string().contains(' '));
        replace(&path, b"A=1\n").expect("written");
        assert_ne!(folder.stamp("a.env"), before, "another file of the same content");
    }

    #[test]
    fn one_byte_more_than_allowed_is_read_and_no_more() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("long");
        fs::write(&path, "x".repeat(50)).expect("written");
        let Some(FileFacts::File { content, .. }) = read(&path, 10).expect("read") else { panic!("a file") };
        assert_eq!(content.len(), 11);
        assert_eq!(read_text(&path, 10), None);
        assert_eq!(read_text(&path, 50), Some("x".repeat(50)));
    }

    #[test]
    fn a_file_that_grew_too_long_keeps_its_later_lines() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.ack");
        for number in 0..100 {
            append(&path, &format!("line {number:03}\n"), 200).expect("added");
        }
        let text = content(&path);
        assert!(text.len() <= 200 && text.starts_with("line ") && text.ends_with("line 099\n"), "{text}");
    }

    #[test]
    fn a_lock_that_somebody_holds_is_not_waited_for_long() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("lock");
        let held = lock_briefly(&path).expect("a lock file");
        assert!(held.is_some());
        assert!(lock_briefly(&path).expect("a lock file").is_none());
        drop(held);
        assert!(lock_briefly(&path).expect("a lock file").is_some());
    }
}
