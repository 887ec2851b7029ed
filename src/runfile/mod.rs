//! The small files below `fleet/run`: text to type and back, without touching the disk.
//!
//! They are what programs of different versions say to each other, so each is versioned or open to
//! further lines, and each reader bounds what it takes.
