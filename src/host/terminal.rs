//! The size of the terminal.

use std::os::fd::AsFd;

/// How many columns the terminal has; `None` where it is none or does not say.
pub fn columns(stream: impl AsFd) -> Option<u16> {
    terminal_size::terminal_size_of(stream).map(|(width, _)| width.0)
}
