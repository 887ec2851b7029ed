//! What an agent's environment files say, with the defaults of a start by hand filled in.
//!
//! The rendered file is ours, the local one the operator's: it is read after ours and wins, except
//! for the variables that say who the agent is and where it lives.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::host::runfiles::{Stamp, stamps};
use crate::layout::Layout;
use crate::names::{AgentName, DEFAULT_HOLDER_SESSION, DEFAULT_SOCKET, NameError, RuntimeName, SocketName};
use crate::render::pane;
use crate::runfile::environment::{self, Environment};

/// What an agent runs of which nothing is said.
const DEFAULT_RUNTIME: &str = "pi";

/// One agent's variables: every one of them reaches the runtime.
#[derive(Clone, Default)]
pub struct Settings {
    vars: BTreeMap<String, String>,
    environment: Option<Environment>,
}

/// A variable of an environment file that can't be what it says.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// An environment file that is there can't be read.
    #[error("read {path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A name is not one.
    #[error("MOSAIC_TMUX_SOCKET: {0}")]
    Socket(NameError),
    /// Another is not one.
    #[error("MOSAIC_AGENT_RUNTIME: {0}")]
    Runtime(NameError),
}

impl Settings {
    /// Reads the agent's two files, where they are, and between them those that all agents get.
    pub fn read(layout: &Layout, agent: &AgentName) -> Result<Self, Unusable> {
        let (rendered, of_rendered) = file(&layout.agent_env(agent))?;
        let (local, of_local) = file(&layout.agent_local_env(agent))?;
        let mut vars = environment::variables(&String::from_utf8_lossy(&rendered), "");
        for text in shared(layout)?.iter().chain([&local]) {
            environment::overlay(&mut vars, &String::from_utf8_lossy(text));
        }
        let environment = Environment::of(&rendered, &local, stamps(of_rendered, of_local));
        let mut settings = Self { vars, environment: Some(environment) };
        settings.address(layout, agent);
        Ok(settings)
    }

    /// Variables that are set already win over the files; the agent's name is the one it was
    /// started by.
    pub fn overridden_by(
        mut self,
        set: impl IntoIterator<Item = (String, String)>,
        layout: &Layout,
        agent: &AgentName,
    ) -> Self {
        self.vars.extend(set);
        self.address(layout, agent);
        self
    }

    fn address(&mut self, layout: &Layout, agent: &AgentName) {
        let mut set = |name: &str, value: String| self.vars.insert(name.to_owned(), value);
        set("MOSAIC_AGENT_NAME", agent.to_string());
        set("MOSAIC_HOME", layout.mosaic().display().to_string());
        let defaults = [
            ("MOSAIC_TMUX_SOCKET", DEFAULT_SOCKET),
            ("MOSAIC_TMUX_HOLDER", DEFAULT_HOLDER_SESSION),
            ("MOSAIC_AGENT_RUNTIME", DEFAULT_RUNTIME),
        ];
        for (name, value) in defaults {
            self.vars.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
        let workdir = || layout.home().display().to_string();
        self.vars.entry("MOSAIC_AGENT_WORKDIR".to_owned()).or_insert_with(workdir);
    }

    /// Every variable, by name.
    pub fn vars(&self) -> impl Iterator<Item = (&str, &str)> {
        self.vars.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The variables of the files as a digest.
    pub fn environment(&self) -> Option<Environment> {
        self.environment.clone()
    }

    /// A variable's value; an empty one counts as not set.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }

    /// The tmux socket's name.
    pub fn socket(&self) -> Result<SocketName, Unusable> {
        SocketName::parse(self.value("MOSAIC_TMUX_SOCKET").unwrap_or(DEFAULT_SOCKET))
            .map_err(Unusable::Socket)
    }

    /// The agent's working directory.
    pub fn workdir(&self) -> &Path {
        Path::new(self.value("MOSAIC_AGENT_WORKDIR").unwrap_or("/"))
    }

    /// The pane command: the PATH prefix of the folders that are there now, and the command.
    pub fn pane_command(&self, layout: &Layout, npm_prefix: Option<&Path>) -> Result<String, Unusable> {
        let runtime_bin = self.value("MOSAIC_RUNTIME_BIN").map(Path::new);
        let home = layout.home();
        let there = pane::path_prefix(pane::Candidates { runtime_bin, npm_prefix, home }, Path::is_dir);
        let there: Vec<&Path> = there.iter().map(PathBuf::as_path).collect();
        let runtime = RuntimeName::parse(self.value("MOSAIC_AGENT_RUNTIME").unwrap_or(DEFAULT_RUNTIME));
        let command =
            pane::launch_line(self.value("MOSAIC_AGENT_COMMAND"), &runtime.map_err(Unusable::Runtime)?);
        Ok(pane::pane_command(&there, &command))
    }
}

/// npm's global prefix as it was kept at `init`.
pub fn kept_npm_prefix(layout: &Layout) -> Option<PathBuf> {
    let text = std::fs::read_to_string(layout.npm_prefix()).ok()?;
    let path = PathBuf::from(text.trim_end_matches('\n'));
    path.is_absolute().then_some(path)
}

/// The files that a declarative host names for all agents of the tenant: what is secret is in none of
/// those that it renders. One that is not there is an error, as in a unit, but behind a `-`.
fn shared(layout: &Layout) -> Result<Vec<Vec<u8>>, Unusable> {
    let (list, _) = file(&layout.environment_files())?;
    let list = String::from_utf8_lossy(&list).into_owned();
    let named = list.lines().filter(|line| !line.is_empty());
    let read = |line: &str| {
        let path = Path::new(line.strip_prefix('-').unwrap_or(line));
        if !line.starts_with('-') && !path.exists() {
            let source = io::ErrorKind::NotFound.into();
            return Err(Unusable::File { path: path.to_owned(), source });
        }
        file(path).map(|(bytes, _)| bytes)
    };
    named.map(read).collect()
}

fn file(path: &Path) -> Result<(Vec<u8>, Stamp), Unusable> {
    let failed = |source| Unusable::File { path: path.to_owned(), source };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), Stamp::default())),
        Err(source) => return Err(failed(source)),
    };
    let mut bytes = Vec::new();
    // Before it is read: a change meanwhile makes the stamp an old one.
    let stamp = Stamp::of(&file).map_err(failed)?;
    file.read_to_end(&mut bytes).map_err(failed)?;
    Ok((bytes, stamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A home in which agent `a` has a rendered and a local file, and the tenant a list of shared ones.
    fn home(list: &str) -> (tempfile::TempDir, Layout) {
        let home = tempfile::tempdir().expect("a folder");
        let layout = Layout::new(home.path(), None);
        std::fs::create_dir_all(layout.agents()).expect("made");
        let agent = agent();
        let write = |path: PathBuf, text: &str| std::fs::write(path, text).expect("written");
        write(layout.agent_env(&agent), "MOSAIC_TENANT_ID=usc\nA=rendered\nB=rendered\nC=rendered\n");
        write(home.path().join("secrets"), "MOSAIC_TENANT_ID=other\nB=shared\nC=shared\nTOKEN=t\n");
        write(layout.agent_local_env(&agent), "C=local\n");
        let list = list.replace("HOME", &home.path().display().to_string());
        write(layout.environment_files(), &list);
        (home, layout)
    }

    fn agent() -> AgentName {
        AgentName::parse("a").expect("a name")
    }

    #[test]
    fn shared_files_are_read_after_the_rendered_one_and_before_the_agents_own() {
        let (_home, layout) = home("HOME/secrets\n-HOME/not-there\n");
        let settings = Settings::read(&layout, &agent()).expect("read");
        for (name, value) in
            [("A", "rendered"), ("B", "shared"), ("C", "local"), ("TOKEN", "t"), ("MOSAIC_TENANT_ID", "usc")]
        {
            assert_eq!(settings.value(name), Some(value), "{name}");
        }
    }

    #[test]
    fn a_shared_file_that_is_missing_is_an_error_that_names_it() {
        let (home, layout) = home("HOME/secrets\nHOME/not-there\n");
        let error = Settings::read(&layout, &agent()).map(drop).expect_err("it is missing");
        let missing = home.path().join("not-there");
        assert!(error.to_string().contains(&missing.display().to_string()), "{error}");
    }
}
