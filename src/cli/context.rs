//! What every verb starts from: who calls, which places are theirs, how to print.

use std::path::{Path, PathBuf};

use super::{Globals, Output};
use crate::error::{Error, Kind, Result};
use crate::host::command::Command;
use crate::host::users::{self, Caller};
use crate::host::{declared, input, site};
use crate::layout::Layout;
use crate::names::{HostName, TenantId};
use crate::render::Site;
use crate::roster::{self, Roster};
use crate::yaml::MAX_BYTES;

/// What every verb starts from.
#[derive(Debug, Clone)]
pub struct Context {
    /// Who calls.
    pub caller: Caller,
    /// The caller's places.
    pub layout: Layout,
    /// How to print.
    pub out: Output,
    /// The roster that the caller named, in place of the installed one.
    pub roster_file: Option<PathBuf>,
    /// How much to say: 0, 1 or 2.
    pub verbose: u8,
}

impl Context {
    /// Finds out who calls, and refuses to work as root on what another user controls, as `sudo`
    /// without `-H` or with somebody's MOSAIC_HOME would.
    pub fn new(globals: &Globals, out: &Output) -> Result<Self> {
        let caller = users::caller()?;
        if let Some(owner) = users::anothers_home(&caller) {
            let home = caller.home.display();
            return Err(Error::machine(format!(
                "running as {}, but HOME is {home}, which is {owner}'s",
                caller.name
            ))
            .hint(format!("run it with its own home: sudo -u {} -H {}", caller.name, typed())));
        }
        let mosaic = globals.mosaic_home()?;
        let layout = declared::places(Layout::new(&caller.home, mosaic), &caller.name);
        for path in [layout.home(), layout.mosaic()].into_iter().chain(globals.roster.as_deref()) {
            own_path(&caller, path).map_err(|error| match path == layout.home() {
                true => {
                    error.hint(format!("or, what is root's to do, with root's own home: sudo -H {}", typed()))
                }
                false => error,
            })?;
        }
        Ok(Self {
            layout,
            caller,
            out: out.clone(),
            roster_file: globals.roster.clone(),
            verbose: globals.verbose,
        })
    }

    /// The same for a verb that was asked for JSON.
    pub fn for_json(&self, wanted: bool) -> Self {
        let out = if wanted { self.out.beside_json() } else { self.out.clone() };
        Self { out, ..self.clone() }
    }

    /// The machine's name.
    pub fn host(&self) -> Result<HostName> {
        let name = users::host_name().unwrap_or_default();
        HostName::parse(&name).map_err(|error| {
            Error::machine(error)
                .while_("ask the kernel for the machine's name")
                .hint("hostnamectl hostname NAME")
        })
    }

    /// This machine, for a render.
    pub fn site(&self) -> Result<Site> {
        site::site(&self.layout)
    }

    /// The roster: the one that the caller named, else the installed one, else the one that a
    /// declarative host holds for this user.
    pub fn roster(&self) -> Result<Roster> {
        let (file, bytes) = self.roster_bytes()?;
        Ok(roster::read_bytes(&bytes, &file, &self.caller.name)?)
    }

    /// As [`Self::roster`]; `None` where there is none and the caller named none.
    pub fn roster_if_any(&self) -> Result<Option<Roster>> {
        match self.roster_bytes_if_any()? {
            Some((file, bytes)) => Ok(Some(roster::read_bytes(&bytes, &file, &self.caller.name)?)),
            None => Ok(None),
        }
    }

    /// The same roster as it stands in its file.
    pub fn roster_bytes(&self) -> Result<(PathBuf, Vec<u8>)> {
        self.roster_bytes_if_any()?.ok_or_else(|| {
            let nor = self.declared().map_or_else(String::new, |file| format!(", nor {}", file.display()));
            let error =
                Error::input(format_args!("there is no roster: not {}{nor}", self.layout.roster().display()));
            let error = match users::behind_sudo(&self.caller) {
                // A fleet is its own user's: root's would be another one.
                Some(user) => error.hint(format_args!(
                    "this is root's own place; the fleet of {user}: sudo -u {user} -H {}",
                    typed()
                )),
                None => error.hint("fleet init --profile minimal --write"),
            };
            match users::home_of(self.caller.uid) {
                Some(own) if own != self.caller.home && !self.caller.home.is_dir() => {
                    error.hint(format_args!(
                        "HOME is {}, where nothing is; the password database says {}",
                        self.caller.home.display(),
                        own.display()
                    ))
                }
                _ => error,
            }
        })
    }

    /// The roster as it stands in its file, and which that is; `None` where there is none.
    pub fn roster_bytes_if_any(&self) -> Result<Option<(PathBuf, Vec<u8>)>> {
        if let Some(file) = &self.roster_file {
            return match read(file)? {
                Some(bytes) => Ok(Some((file.clone(), bytes))),
                None => Err(Error::input(format_args!("{}: there is no such roster", file.display()))),
            };
        }
        for file in std::iter::once(self.layout.roster()).chain(self.declared()) {
            if let Some(bytes) = read(&file)? {
                return Ok(Some((file, bytes)));
            }
        }
        Ok(None)
    }

    fn declared(&self) -> Option<PathBuf> {
        TenantId::parse(&self.caller.name).ok().map(|t| Layout::declared(&t).join("roster.yaml"))
    }
}

/// Refuses a path that root would follow into a tenant's hands.
pub fn own_path(caller: &Caller, path: &Path) -> Result<()> {
    match users::foreign_path(caller, &std::path::absolute(path)?) {
        None => Ok(()),
        Some(owner) => Err(Error::new(
            Kind::Machine,
            format!("running as {}, and {} is under the control of {owner}", caller.name, path.display()),
        )
        .hint(format!("run it as that user: sudo -u {owner} -H {}", typed()))),
    }
}

/// This call as a shell takes it.
fn typed() -> String {
    let mut words = std::env::args_os();
    let program = words.next().map(PathBuf::from);
    let name = program.as_deref().and_then(Path::file_name).unwrap_or("fleet".as_ref()).to_owned();
    Command::new(name).args(words).typed()
}

/// The bytes of one roster; `None` where there is no such file.
fn read(file: &Path) -> Result<Option<Vec<u8>>> {
    input::read(file, MAX_BYTES).map_err(|error| {
        let (kind, why) = match (error.raw_os_error(), error.kind()) {
            (Some(libc::ELOOP), _) => (Kind::Input, "its links lead in a circle".to_owned()),
            (Some(libc::ENXIO), _) => (Kind::Input, "it is a socket, not a file".to_owned()),
            (Some(libc::ENOTDIR), _) => (Kind::Input, "its path leads through a file".to_owned()),
            (Some(_), _) => (Kind::Machine, error.to_string()),
            (None, _) => (Kind::Input, error.to_string()),
        };
        let error = Error::new(kind, format_args!("read the roster {}: {why}", file.display()));
        match kind {
            Kind::Machine => error.hint(format_args!("look at who may read it: ls -ld {}", file.display())),
            _ => error.hint("name a file that holds a roster"),
        }
    })
}
