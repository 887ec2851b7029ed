//! The door for files that a person names or owns: read only, links followed, pipes taken.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The bytes of a file, or one byte more than `longest` of one that is longer; `None` where nothing
/// is there.
pub fn read(path: &Path, longest: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(longest as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_file_is_read_as_far_as_to_know_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("f");
        assert!(matches!(read(&path, 4), Ok(None)));
        std::fs::write(&path, "123456").expect("written");
        assert_eq!(read(&path, 4).expect("read").map(|b| b.len()), Some(5));
        assert_eq!(read(&path, 6).expect("read").map(|b| b.len()), Some(6));
        assert!(read(folder.path(), 4).is_err());
    }
}
