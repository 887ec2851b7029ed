//! The shipped rosters, as they stand in `framework/fleet/examples/`.

/// A shipped roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// The holder alone.
    Minimal,
    /// Thirteen agents of a software factory.
    Usc,
    /// Three agents on the built-in runtime, for trying out and for tests.
    Dogfood,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 3] = [Self::Minimal, Self::Usc, Self::Dogfood];

    /// The name by which `--profile` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Usc => "usc",
            Self::Dogfood => "dogfood",
        }
    }

    /// The names of all profiles.
    pub fn names() -> [&'static str; 3] {
        Self::ALL.map(Self::name)
    }

    /// The profile of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.name() == name)
    }

    /// The name of its file.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Minimal => "minimal.yaml",
            Self::Usc => "usc-software-factory.yaml",
            Self::Dogfood => "dogfood.yaml",
        }
    }

    /// The file as it is shipped, beside the schema that its first line names.
    pub fn text(self) -> &'static str {
        match self {
            Self::Minimal => include_str!("../../framework/fleet/examples/minimal.yaml"),
            Self::Usc => include_str!("../../framework/fleet/examples/usc-software-factory.yaml"),
            Self::Dogfood => include_str!("../../framework/fleet/examples/dogfood.yaml"),
        }
    }

    /// The text as it becomes `$MOSAIC_HOME/fleet/roster.yaml`: the first line names the schema as
    /// it is installed.
    pub fn roster_text(self) -> String {
        self.text().replacen(
            "$schema=../roster.schema.json",
            "$schema=../framework/fleet/roster.schema.json",
            1,
        )
    }
}
