//! The templates, as they stand in `templates/`, which mirrors the installed tree: in their paths
//! and names, `.config/mosaic` is `$MOSAIC_HOME` and AGENT is an agent's name.

use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};

use super::{RenderError, escape};

/// One template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Template {
    /// The holder's unit.
    Holder,
    /// The agents' template unit.
    Agent,
    /// One agent's drop-in.
    DropIn,
    /// One agent's variables.
    Env,
    /// The server's configuration.
    TmuxConf,
    /// The script that starts one session.
    StartScript,
    /// The script that sends a message to one pane.
    SendScript,
    /// The script that sends one to an agent, here or on another host.
    AgentSendScript,
}

macro_rules! template {
    ($path:literal) => {
        ($path, include_str!(concat!("../../templates/", $path)))
    };
}

impl Template {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Holder,
        Self::Agent,
        Self::DropIn,
        Self::Env,
        Self::TmuxConf,
        Self::StartScript,
        Self::SendScript,
        Self::AgentSendScript,
    ];

    /// Its path below `templates/` and its text.
    pub fn source(self) -> (&'static str, &'static str) {
        match self {
            Self::Holder => template!(".config/systemd/user/mosaic-tmux-holder.service"),
            Self::Agent => template!(".config/systemd/user/mosaic-agent@.service"),
            Self::DropIn => template!(".config/systemd/user/mosaic-agent@AGENT.service.d/mosaic.conf"),
            Self::Env => template!(".config/mosaic/fleet/agents/AGENT.env"),
            Self::TmuxConf => template!(".config/mosaic/fleet/tmux.conf"),
            Self::StartScript => template!(".config/mosaic/tools/fleet/start-agent-session.sh"),
            Self::SendScript => template!(".config/mosaic/tools/tmux/send-message.sh"),
            Self::AgentSendScript => template!(".config/mosaic/tools/tmux/agent-send.sh"),
        }
    }

    /// Its text with the values in place. A value that is missing is an error, never an empty text.
    pub fn render(self, values: Value) -> Result<String, RenderError> {
        let (path, _) = self.source();
        let render = || ENVIRONMENT.get_template(path)?.render(values);
        render().map_err(|source| RenderError::Template { path, source })
    }
}

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    let mut syntax = SyntaxConfig::builder();
    syntax.keep_trailing_newline(true).trim_blocks(true).lstrip_blocks(true);
    environment.set_syntax(syntax.build().expect("the default delimiters are valid"));
    environment.add_filter("exec", |text: &str| escape::exec(text));
    environment.add_filter("exec_unit_path", |text: &str| escape::exec_unit_path(text));
    environment.add_filter("unit_path", |text: &str| escape::specifiers(text));
    environment.add_filter("sh", |text: &str| escape::shell(text));
    for template in Template::ALL {
        let (path, text) = template.source();
        // One that does not parse is found when it is rendered, and by the test below.
        let _ = environment.add_template(path, text);
    }
    environment
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_of_the_folder_is_known_and_parses() {
        let mut found = Vec::new();
        let mut folders = vec![std::path::PathBuf::from("templates")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("the folder can be read") {
                let path = entry.expect("an entry").path();
                if path.is_dir() { folders.push(path) } else { found.push(path) }
            }
        }
        let mut known: Vec<_> =
            Template::ALL.map(|t| std::path::Path::new("templates").join(t.source().0)).to_vec();
        found.sort();
        known.sort();
        assert_eq!(known, found);
        for template in Template::ALL {
            let (path, text) = template.source();
            Environment::new().template_from_str(text).map(drop).unwrap_or_else(|e| panic!("{path}: {e}"));
        }
    }

    #[test]
    fn a_missing_value_is_an_error_that_names_the_template() {
        let error = Template::Holder.render(minijinja::context! { socket => "x" }).expect_err("no program");
        assert!(error.to_string().contains("mosaic-tmux-holder.service"), "{error}");
    }
}
