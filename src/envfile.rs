//! Environment files: one text that systemd and a POSIX shell read alike.
