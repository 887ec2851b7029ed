//! What is known of the built-in runtimes without asking them; a roster may say otherwise.

/// A runtime that needs no definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuiltIn {
    /// Its name.
    pub name: &'static str,
    /// What resets a conversation, typed at its prompt.
    pub reset_command: &'static str,
    /// Names under which its process shows.
    pub process_names: &'static [&'static str],
    /// What stands before text that was typed and not submitted; empty where nothing does.
    pub draft_mark: &'static str,
}

/// The runtime of an agent that names none.
pub const DEFAULT: &str = "pi";

/// The built-in runtimes. The dogfood runtime is this program itself.
pub const BUILT_IN: [BuiltIn; 5] = [
    BuiltIn { name: "claude", reset_command: "/clear", process_names: &["claude"], draft_mark: "❯ " },
    BuiltIn { name: "codex", reset_command: "/clear", process_names: &["codex"], draft_mark: "› " },
    BuiltIn { name: "opencode", reset_command: "/new", process_names: &["opencode"], draft_mark: "┃" },
    BuiltIn { name: "pi", reset_command: "/new", process_names: &["pi"], draft_mark: "" },
    BuiltIn { name: "dogfood", reset_command: "/new", process_names: &["mosaic", "fleet"], draft_mark: "> " },
];
