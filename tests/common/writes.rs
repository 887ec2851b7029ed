//! What an emulated rig wrote to its disk, write by write (the log of QEMU's blklogwrites), and the states that
//! the disk went through: what a machine would find after a power cut there.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const FLUSH: u64 = 1;
const DISCARD: u64 = 4;
/// Both the log's and the disk's.
const SECTOR: u64 = 512;
/// What a commit block of ext4's journal begins with, big-endian, and its kind.
const JOURNAL: [u8; 8] = [0xc0, 0x3b, 0x39, 0x98, 0, 0, 0, 2];
/// What `e2fsck -p` ends with at most where it found or left a sound file system; it replays the journal on the way.
const SOUND: i32 = 1;

/// What files hold, by their paths.
pub type Files = BTreeMap<String, Vec<u8>>;

/// One entry of the log.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Where it stands in the log: later entries stand behind.
    pub at: u64,
    /// With it, all before it is on the disk for good: a flush, or a commit of the journal, which the kernel writes
    /// past the disk's cache (the log does not say so) right after a flush.
    pub lasting: bool,
    sector: u64,
    sectors: u64,
}

/// The whole entries of a log. The order of writes is that of the log.
pub fn entries(log: &Path) -> Vec<Entry> {
    let file = File::open(log).expect("a log");
    let end = file.metadata().expect("its size").len();
    let mut entries = Vec::new();
    // The first sector is the log's own.
    let mut at = SECTOR;
    let mut head = [0; 32];
    while at + SECTOR <= end {
        file.read_exact_at(&mut head, at).expect("an entry");
        let number = |n: usize| u64::from_le_bytes(head[n * 8..][..8].try_into().expect("eight bytes"));
        let (sector, sectors, flags) = (number(0), number(1), number(2));
        let carried = if flags & DISCARD == 0 { sectors } else { 0 };
        if at + SECTOR * (1 + carried) > end {
            break;
        }
        let mut begin = [0; 8];
        if carried > 0 {
            file.read_exact_at(&mut begin, at + SECTOR).expect("its data");
        }
        let lasting = flags & FLUSH != 0 || begin == JOURNAL;
        entries.push(Entry { at, lasting, sector, sectors: carried });
        at += SECTOR * (1 + carried);
    }
    entries
}

/// A disk that takes the writes of a log one after another.
pub struct Replay {
    log: File,
    pub entries: Vec<Entry>,
    scratch: PathBuf,
    done: usize,
}

impl Replay {
    /// Begins with the disk of before the log; `scratch` is a folder for copies.
    pub fn new(before: &Path, log: &Path, scratch: &Path) -> Self {
        let replay = Self {
            log: File::open(log).expect("a log"),
            entries: entries(log),
            scratch: scratch.to_owned(),
            done: 0,
        };
        copy(before, &replay.disk());
        replay
    }

    /// The disk as it stands, journal and all.
    pub fn disk(&self) -> PathBuf {
        self.scratch.join("disk")
    }

    /// Carries out all writes up to this entry, and with it.
    pub fn go_to(&mut self, entry: usize) {
        let disk = OpenOptions::new().write(true).open(self.disk()).expect("the disk");
        while self.done <= entry {
            self.write(&disk, self.done);
            self.done += 1;
        }
    }

    /// The files below these folders that a machine would find if it lost its power now, by their paths.
    pub fn files(&self, folders: &[&str]) -> Result<Files, String> {
        self.files_with(folders, &[])
    }

    /// The same with some of the later writes, too: a disk may take them in any order until it is told to flush.
    pub fn files_with(&self, folders: &[&str], later: &[usize]) -> Result<Files, String> {
        let look = self.scratch.join("look");
        copy(&self.disk(), &look);
        let disk = OpenOptions::new().write(true).open(&look).expect("a copy");
        later.iter().for_each(|entry| self.write(&disk, *entry));
        files(&look, folders, &self.scratch)
    }

    fn write(&self, disk: &File, entry: usize) {
        let Entry { at, sector, sectors, .. } = self.entries[entry];
        let mut data = vec![0; usize::try_from(sectors * SECTOR).expect("it was in memory once")];
        self.log.read_exact_at(&mut data, at + SECTOR).expect("its data");
        disk.write_all_at(&data, sector * SECTOR).expect("written");
    }
}

/// The files and links (`-> target`) below folders of a disk that lost its power; a folder may be a file, and
/// what is not there holds none. The disk is repaired as at a boot.
pub fn files(disk: &Path, folders: &[&str], scratch: &Path) -> Result<Files, String> {
    let check = Command::new("e2fsck").args(["-p", "-f"]).arg(disk).output().expect("e2fsck");
    if check.status.code().is_none_or(|code| code > SOUND) {
        return Err(format!("the file system is broken: {}", String::from_utf8_lossy(&check.stdout)));
    }
    let out = scratch.join("out");
    let _ = fs::remove_dir_all(&out);
    let mut found = Files::new();
    for (number, folder) in folders.iter().enumerate() {
        let out = out.join(number.to_string());
        fs::create_dir_all(&out).expect("a folder");
        let request = format!("rdump {folder} {}", out.display());
        let dump = Command::new("debugfs").args(["-R", &request]).arg(disk).output().expect("debugfs");
        assert!(dump.status.success(), "{dump:?}");
        walk(&out, Path::new(folder).parent().expect("it is below /"), &mut found);
    }
    Ok(found)
}

/// Everything in `folder`, as it stands in `place`.
fn walk(folder: &Path, place: &Path, found: &mut Files) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let (path, kind) = (entry.path(), entry.file_type().expect("a kind"));
        let place = place.join(entry.file_name());
        let content = if kind.is_dir() {
            walk(&path, &place, found);
            continue;
        } else if kind.is_symlink() {
            format!("-> {}", fs::read_link(&path).expect("a link").display()).into_bytes()
        } else {
            fs::read(&path).expect("a file")
        };
        found.insert(place.to_string_lossy().into_owned(), content);
    }
}

/// A copy without its holes.
pub fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").args(["--sparse=always", "--reflink=auto"]).args([from, to]).status();
    assert!(copied.expect("cp").success(), "{} can be copied", from.display());
}
