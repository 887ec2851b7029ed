//! Why a roster could not be rendered, and which exit code that is.

use std::path::PathBuf;

use crate::envfile::{Refused, Why};
use crate::error::{Error, Kind};
use crate::names::{AgentName, EnvName};

/// Why a roster could not be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// A variable cannot be written so that all readers agree.
    #[error("agent {agent}: {refused}")]
    Variable {
        /// Whose variable.
        agent: AgentName,
        /// Which, and why.
        refused: Refused,
    },
    /// A variable of the roster would hide what tmux tells its panes.
    #[error("agent {agent}: variable {name}: tmux sets it in each pane; it cannot be set here")]
    OfTmux {
        /// Whose variable.
        agent: AgentName,
        /// Which.
        name: EnvName,
    },
    /// A place that units and scripts cannot name.
    #[error("{what} {path:?}: {rule}")]
    Place {
        /// Which place.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// The rule it breaks.
        rule: &'static str,
    },
    /// A template does not render: a mistake in this program.
    #[error("template {path}: {source:#}")]
    Template {
        /// Which.
        path: &'static str,
        /// What is wrong with it.
        source: minijinja::Error,
    },
}

impl From<RenderError> for Error {
    fn from(error: RenderError) -> Self {
        let (kind, hint) = match &error {
            RenderError::Variable { refused, .. } => (
                Kind::Input,
                match refused.why {
                    Why::TooLong(_) | Why::FileTooLong => {
                        Some("put a long value into a file and give the agent the file's path")
                    }
                    _ => None,
                },
            ),
            RenderError::OfTmux { .. } => (Kind::Input, Some("remove it from the roster's `env`")),
            RenderError::Place { .. } => {
                (Kind::Machine, Some("use another place, or a link to it from a plain one"))
            }
            RenderError::Template { .. } => {
                (Kind::Machine, Some("please report this: no roster should lead here"))
            }
        };
        let shown = Self::new(kind, error);
        match hint {
            Some(hint) => shown.hint(hint),
            None => shown,
        }
    }
}
