//! Where a runtime's program is, and what to do where it is not.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::cli::Context;
use crate::error::Error;
use crate::host::programs::{self, Flaw};
use crate::host::runfiles;
use crate::names::RuntimeName;
use crate::render::pane::{Candidates, path_prefix};
use crate::roster::Runtime;
use crate::runtime::Kind;

/// A runtime's program: the roster's file, else the first on the PATH that a pane has.
pub fn program(
    context: &Context,
    runtime: &RuntimeName,
    settings: Option<&Runtime>,
) -> Result<PathBuf, Error> {
    match Kind::of(runtime) {
        Kind::Custom => return Ok("/bin/sh".into()),
        Kind::Dogfood => return Ok(std::env::current_exe()?),
        _ => {}
    }
    let installs = |error: Error| install_hints(runtime, error);
    if let Some(bin) = settings.and_then(|s| s.bin.as_deref()) {
        let bin = in_home(bin, context.layout.home());
        let broken = |flaw| Error::no(format!("{runtime}: {} of the roster is {flaw}", bin.display()));
        return programs::check(&bin).map(|()| bin.clone()).map_err(broken).map_err(installs);
    }
    let own = std::env::var_os("MOSAIC_RUNTIME_BIN").map(PathBuf::from);
    let npm =
        runfiles::read_text(&context.layout.npm_prefix(), 4096).map(|text| PathBuf::from(text.trim_end()));
    let candidates =
        Candidates { runtime_bin: own.as_deref(), npm_prefix: npm.as_deref(), home: context.layout.home() };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = path_prefix(candidates, |_| true).into_iter().chain(std::env::split_paths(&path));
    programs::find(OsStr::new(runtime.as_str()), folders.filter(|f| f.is_absolute())).map_err(|not_found| {
        let broken = not_found.looked.iter().filter(|(_, flaw)| *flaw != Flaw::Missing);
        let broken: Vec<String> =
            broken.map(|(path, flaw)| format!("\n  {} is {flaw}", path.display())).collect();
        let folders: Vec<String> = not_found
            .looked
            .iter()
            .filter_map(|(path, _)| path.parent())
            .map(|folder| format!("\n  {}", folder.display()))
            .collect();
        installs(match broken.is_empty() {
            true => Error::no(format!("{runtime} is not installed; looked in{}", folders.concat())),
            false => Error::no(format!(
                "no {runtime} that can be run{}\nlooked in{}",
                broken.concat(),
                folders.concat()
            )),
        })
    })
}

/// Adds how the runtime is installed.
pub fn install_hints(runtime: &RuntimeName, error: Error) -> Error {
    let Some(package) = Kind::of(runtime).package() else { return error };
    let error = error.hint(format!("install it: npm install -g {}", package.name));
    let error = match package.script {
        Some(script) => error.hint(format!(
            "where npm did not run its install script: cd \"$(npm root -g)/{}\" && node {script}",
            package.name
        )),
        None => error,
    };
    error.hint(format!(
        "or say where it is: runtimes.{runtime}.bin in the roster, or MOSAIC_RUNTIME_BIN for its folder"
    ))
}

fn in_home(path: &Path, home: &Path) -> PathBuf {
    match path.strip_prefix("~").or_else(|_| path.strip_prefix("%h")) {
        Ok(rest) => home.join(rest),
        Err(_) => path.to_path_buf(),
    }
}
