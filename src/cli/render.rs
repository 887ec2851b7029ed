//! `fleet render`: writes the installed tree of a roster below a folder, and nothing else: for
//! images, Nix builds and reviews.

use std::path::{Path, PathBuf};

use super::context::own_path;
use super::ground::can_run;
use super::lint::Linted;
use super::{Answer, Context};
use crate::error::{Error, Kind, Result};
use crate::host::{site, tree};
use crate::layout::{DEFAULT_MOSAIC, Layout};
use crate::names::{HostName, TenantId};
use crate::render::{File, Role, Site, render};
use crate::roster::{self, Profile};

/// Arguments of `fleet render`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write below this folder, which is made, or is there and empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Shipped roster to render in place of the installed one; --roster names another
    #[arg(long, value_name = "PROFILE", value_parser = Profile::names())]
    profile: Option<String>,
    /// The tenant's home on the machine that the tree is for [default: the caller's]
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
    /// The tenant, where the roster names none [default: the caller's name]
    #[arg(long, value_name = "TENANT", value_parser = TenantId::parse)]
    tenant: Option<TenantId>,
}

/// Renders and writes.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    let layout = layout(args.home.as_deref(), &context.layout)?;
    let user = args.tenant.as_ref().map_or(context.caller.name.as_str(), TenantId::as_str);
    let (file, bytes) = source(args.profile.as_deref(), context)?;
    let roster = roster::read_bytes(&bytes, &file, user)?;
    can_run(&roster)?;
    let site = Site { host: host(context)?, program: site::program()?, tmux: tmux(), layout };
    let mut desired = render(&roster, &site)?;
    Linted::of_tree(&desired, site.layout.home()).refuse()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    desired.files.push(File::new(site.layout.roster(), text, Role::Roster));
    own_path(&context.caller, &args.out)?;
    tree::write(&args.out, site.layout.home(), &desired.files, &desired.links)?;
    context.out.note(format_args!(
        "{} files and {} links of tenant {} for {} are below {}",
        desired.files.len(),
        desired.links.len(),
        roster.tenant,
        site.layout.home().display(),
        args.out.display()
    ));
    Ok(Answer::Yes)
}

/// The tenant's places. All of them are below its home: elsewhere they would have none in the tree.
fn layout(home: Option<&Path>, callers: &Layout) -> Result<Layout> {
    let home = home.unwrap_or(callers.home());
    if !home.is_absolute() {
        return Err(Error::new(Kind::Usage, format!("--home {}: a home begins with /", home.display())));
    }
    let default = callers.mosaic() == callers.home().join(DEFAULT_MOSAIC);
    let layout = Layout::new(home, (!default).then(|| callers.mosaic().to_path_buf()));
    if layout.mosaic().starts_with(home) {
        return Ok(layout);
    }
    let mosaic = layout.mosaic().display();
    Err(Error::new(
        Kind::Usage,
        format!("MOSAIC_HOME is {mosaic}, outside the home {}: the tree holds a home alone", home.display()),
    )
    .hint("give --mosaic-home a folder below the home, or unset MOSAIC_HOME"))
}

/// The roster's file, as messages call it, and its bytes.
fn source(profile: Option<&str>, context: &Context) -> Result<(PathBuf, Vec<u8>)> {
    let Some(profile) = profile.and_then(Profile::by_name) else { return context.roster_bytes() };
    if context.roster_file.is_some() {
        return Err(Error::new(Kind::Usage, "--profile and --roster both name a roster: give one of them"));
    }
    Ok((profile.file_name().into(), profile.roster_text().into_bytes()))
}

/// The machine that the tree is for: a build knows only the one it runs on.
fn host(context: &Context) -> Result<HostName> {
    match std::env::var("MOSAIC_HOST") {
        Ok(name) if !name.is_empty() => {
            HostName::parse(&name).map_err(|e| Error::new(Kind::Usage, format!("MOSAIC_HOST: {e}")))
        }
        _ => context.host(),
    }
}

/// This machine's tmux, else where a machine that runs the tree most likely has it.
fn tmux() -> PathBuf {
    site::tmux().unwrap_or_else(|_| "/usr/bin/tmux".into())
}
