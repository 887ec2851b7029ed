//! Small files that the kernel makes up when they are read: `/proc`, `/sys`. One open, one read,
//! since a look at hundreds of agents reads thousands of them.
//!
//! For files of one record alone, which the kernel writes whole. A table, as that of the mounts, comes in
//! pieces that end with a record and need not fill the buffer: it is read with [`std::fs`].

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// More than most such files have.
const MOST: usize = 4096;

/// The bytes of such a file.
pub fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut content = Vec::new();
    let mut buffer = [0; MOST];
    loop {
        match file.read(&mut buffer) {
            Ok(read) => {
                content.extend_from_slice(buffer.get(..read).unwrap_or_default());
                // What does not fill the buffer was the rest: the kernel writes these whole.
                if read < MOST {
                    return Ok(content);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The same as text.
pub fn text(path: impl AsRef<Path>) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_any_length_are_read_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("f");
        for length in [0, 1, MOST - 1, MOST, MOST + 1, 3 * MOST, 3 * MOST + 7] {
            let content: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap_or(0)).collect();
            std::fs::write(&path, &content).expect("written");
            assert!(read(&path).expect("read") == content, "{length}");
        }
        assert!(text("/proc/self/stat").is_ok_and(|t| t.contains('(')));
    }
}
