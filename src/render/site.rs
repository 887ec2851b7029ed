//! The places of a render as text that units, scripts and environment files can carry.

use std::path::Path;

use super::escape::unit_path_refusal;
use super::{RenderError, Site};

/// A site's places, each checked.
#[derive(Debug, Clone)]
pub struct Places<'a> {
    /// The tenant's home.
    pub home: &'a str,
    /// `$MOSAIC_HOME`.
    pub mosaic: &'a str,
    /// `$MOSAIC_HOME` as a unit writes it.
    pub mosaic_in_unit: String,
    /// The `fleet` program.
    pub program: &'a str,
    /// The tmux that units call.
    pub tmux: &'a str,
}

impl Site {
    /// A roster's path, which may begin with `~` or `%h` for the home.
    pub fn expand(&self, path: &str) -> Result<String, RenderError> {
        Ok(Places::of(self)?.expand(path))
    }
}

impl<'a> Places<'a> {
    /// Checks them.
    pub fn of(site: &'a Site) -> Result<Self, RenderError> {
        Ok(Self {
            home: text("home", site.layout.home())?,
            mosaic: text("MOSAIC_HOME", site.layout.mosaic())?,
            mosaic_in_unit: site.layout.mosaic_in_unit(),
            program: text("program", &site.program)?,
            tmux: text("tmux", &site.tmux)?,
        })
    }

    /// A roster's path, which may begin with `~` or `%h` for the home.
    pub fn expand(&self, path: &str) -> String {
        let below = |rest: &str| match rest.trim_start_matches('/') {
            "" => self.home.to_owned(),
            rest => format!("{}/{rest}", self.home.trim_end_matches('/')),
        };
        for home in ["~", "%h"] {
            if let Some(rest) = path.strip_prefix(home)
                && (rest.is_empty() || rest.starts_with('/'))
            {
                return below(rest);
            }
        }
        path.to_owned()
    }
}

fn text<'a>(what: &'static str, path: &'a Path) -> Result<&'a str, RenderError> {
    let refused = |rule| RenderError::Place { what, path: path.to_owned(), rule };
    let text = path.to_str().ok_or_else(|| refused("it is not UTF-8"))?;
    unit_path_refusal(text).map_or(Ok(text), |rule| Err(refused(rule)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(home: &str) -> Places<'_> {
        Places { home, mosaic: "/m", mosaic_in_unit: "/m".to_owned(), program: "/f", tmux: "/t" }
    }

    #[test]
    fn both_spellings_of_the_home_are_expanded_at_the_beginning_only() {
        let places = places("/home/u");
        for (path, expected) in [
            ("~", "/home/u"),
            ("~/", "/home/u"),
            ("~/src", "/home/u/src"),
            ("%h", "/home/u"),
            ("%h/a b", "/home/u/a b"),
            ("/srv/~/%h", "/srv/~/%h"),
            ("/srv", "/srv"),
        ] {
            assert_eq!(places.expand(path), expected, "{path}");
        }
    }

    #[test]
    fn a_home_at_the_root_gets_no_second_slash() {
        assert_eq!(places("/").expand("~/src"), "/src");
    }
}
