//! The runtimes: how each is launched and how it is recognised. Pure but for `dogfood`, which is a
//! runtime itself.
//!
//! What is launched is data: the caller finds the program, asks here for the command and becomes it.

mod arguments;
mod claude;
mod codex;
mod custom;
pub mod dogfood;
pub mod drift;
pub mod identity;
mod opencode;
mod pi;
pub mod pi_skills;
pub mod screen;
pub mod talk;
#[cfg(test)]
mod tests;
pub mod version;

use std::ffi::OsString;
use std::path::Path;

use crate::names::RuntimeName;
use crate::roster::{Agent, Runtime};
use crate::runfile::heartbeat::Timer;

/// A runtime that this program knows how to launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Claude Code.
    Claude,
    /// Codex.
    Codex,
    /// OpenCode.
    OpenCode,
    /// pi.
    Pi,
    /// The small runtime inside this program.
    Dogfood,
    /// One that the roster defines.
    Custom,
}

impl Kind {
    /// Every runtime that needs no definition.
    pub const BUILT_IN: [(&'static str, Self); 5] = [
        ("claude", Self::Claude),
        ("codex", Self::Codex),
        ("opencode", Self::OpenCode),
        ("pi", Self::Pi),
        ("dogfood", Self::Dogfood),
    ];

    /// What a name means.
    pub fn of(name: &RuntimeName) -> Self {
        let built_in = Self::BUILT_IN.iter().find(|(known, _)| *known == name.as_str());
        built_in.map_or(Self::Custom, |(_, kind)| *kind)
    }

    /// Whether it can beat while nobody talks to it. Codex runs hooks and has no timer.
    pub fn timer(self) -> Timer {
        match self {
            Self::Codex => Timer::SidecarWhileIdle,
            Self::Claude | Self::OpenCode | Self::Pi | Self::Dogfood | Self::Custom => Timer::Own,
        }
    }

    /// The file that it loads to beat and to acknowledge, below the framework's folder.
    pub fn adapter(self) -> Option<&'static str> {
        match self {
            Self::Pi => Some(pi::ADAPTER),
            Self::Claude | Self::Codex | Self::OpenCode | Self::Dogfood | Self::Custom => None,
        }
    }

    /// The package of the npm registry that brings it, with what has to be run in it where npm did
    /// not run its install script.
    pub fn package(self) -> Option<Package> {
        match self {
            Self::Claude => Some(claude::PACKAGE),
            Self::Codex => Some(codex::PACKAGE),
            Self::OpenCode => Some(opencode::PACKAGE),
            Self::Pi => Some(pi::PACKAGE),
            Self::Dogfood | Self::Custom => None,
        }
    }
}

/// How a runtime is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: &'static str,
    /// The script that puts the program in the place of a stub.
    pub script: Option<&'static str>,
}

/// What is to be launched.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The runtime's name.
    pub runtime: &'a RuntimeName,
    /// Its program; dogfood's is this one, and a custom one has a shell line in its place.
    pub program: &'a Path,
    /// The agent that it is launched for, where there is one on this runtime.
    pub agent: Option<&'a Agent>,
    /// What the roster says of the runtime.
    pub settings: Option<&'a Runtime>,
    /// Arguments that were given; they win over everything and stand last, as they are.
    pub args: &'a [OsString],
    /// What pi is told of skills; see [`pi_skills`].
    pub skills: &'a [OsString],
    /// The installed [`Kind::adapter`], where it is launched for an agent.
    pub adapter: Option<&'a Path>,
}

/// A launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The program and its arguments.
    pub argv: Vec<OsString>,
    /// Variables that it gets where nobody has set them.
    pub env: Vec<(&'static str, &'static str)>,
    /// What of the roster could not be handed on, for people.
    pub notes: Vec<String>,
}

/// The launch of a runtime; `None` for a custom one that the roster gives no shell line.
pub fn launch(request: &Request<'_>) -> Option<Launch> {
    match Kind::of(request.runtime) {
        Kind::Claude => Some(claude::launch(request)),
        Kind::Codex => Some(codex::launch(request)),
        Kind::OpenCode => Some(opencode::launch(request)),
        Kind::Pi => Some(pi::launch(request)),
        Kind::Dogfood => Some(itself(request)),
        Kind::Custom => custom::launch(request),
    }
}

/// This program as the dogfood runtime.
fn itself(request: &Request<'_>) -> Launch {
    let mut line = arguments::Arguments::new(request);
    line.add(["yolo", "dogfood"]);
    line.launch()
}

impl<'a> Request<'a> {
    fn model(&self) -> Option<&'a str> {
        self.agent.and_then(|a| a.model.as_deref())
    }

    fn effort(&self) -> Option<&'a str> {
        self.agent.and_then(|a| a.effort.as_deref())
    }
}
