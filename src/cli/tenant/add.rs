//! `fleet tenant add`: writes a declaration and carries it out. Twice the same is once.

use std::path::PathBuf;

use super::apply::{all, own_user};
use super::decide::decide;
use super::named;
use super::outcome::conclude;
use crate::cli::{Answer, Context};
use crate::error::{Error, Kind, Result};
use crate::host::tenant::store;
use crate::names::{TenantId, UserName};
use crate::roster::Profile;
use crate::tenant::wire::Start;
use crate::tenant::{Declared, Fleet, State, place, read};

/// Arguments of `fleet tenant add`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The tenant
    name: String,
    /// Its user; the tenant's name where it is not given
    #[arg(long)]
    user: Option<String>,
    /// The user's number
    #[arg(long)]
    uid: Option<u32>,
    /// The user's home
    #[arg(long, value_name = "DIR")]
    home: Option<PathBuf>,
    /// The user's login shell
    #[arg(long, value_name = "FILE")]
    shell: Option<PathBuf>,
    /// Shipped roster that its fleet begins with
    #[arg(long, value_name = "PROFILE", value_parser = Profile::names())]
    profile: Option<String>,
    /// Start the fleet and wait until every agent has answered, 60 s at most
    #[arg(long)]
    start: bool,
    /// What was done, as JSON
    #[arg(long)]
    json: bool,
}

/// Adds one.
pub fn run(args: Args, context: &Context) -> Result<Answer> {
    let name = named(&args.name)?;
    let start = if args.start { Start::Answered } else { Start::Later };
    let wanted = declared(&args, &name)?;
    own_user(&wanted, &store::declarations()?.0)?;
    let declared = match store::declaration(&name)? {
        Some(there) => again(&wanted, there)?,
        None => {
            // As if it had been read from its file, so that the same is refused in the same words.
            let text = place::text(&wanted);
            let declared = read(text.as_bytes(), &place::declaration(&name), &name)
                .map_err(|problems| problems.of_a_command_line())?;
            decide(&declared)?;
            store::declare(&name, &text)?;
            declared
        }
    };
    let outcomes = all(vec![(name, Ok(declared))], start, context)?;
    if !args.json && outcomes.iter().all(|outcome| outcome.error.is_none()) {
        next(&args, outcomes.iter().any(|outcome| outcome.fleet.is_some()), context);
    }
    conclude(&outcomes, args.json, context)
}

/// What is left to be done, where something is.
fn next(args: &Args, has_fleet: bool, context: &Context) {
    let name = &args.name;
    if !has_fleet {
        let user = args.user.as_deref().unwrap_or(name);
        context.out.note(format_args!(
            "it has no fleet yet: runuser -u {user} -- fleet init --profile PROFILE --write; or add a line with its \
             profile to {}, then: fleet tenant apply {name}",
            format_args!("{}/{name}.yaml", place::DECLARATIONS)
        ));
    } else if !args.start {
        context.out.note(format_args!(
            "what does not run yet starts at the next boot, or now with: fleet tenant apply {name}"
        ));
    }
}

fn declared(args: &Args, name: &TenantId) -> Result<Declared> {
    let user = args.user.as_deref().unwrap_or(name.as_str());
    let user = UserName::parse(user).map_err(|error| {
        let error = Error::new(Kind::Usage, error);
        if args.user.is_none() { error.hint(format!("fleet tenant add {name} --user USER")) } else { error }
    })?;
    let profile = args.profile.as_deref().and_then(Profile::by_name);
    Ok(Declared {
        uid: args.uid,
        home: args.home.clone(),
        shell: args.shell.clone(),
        fleet: profile.map_or(Fleet::Own, Fleet::Profile),
        ..Declared::bare(name.clone(), user)
    })
}

/// The declaration that is there, if it says what was asked for.
fn again(wanted: &Declared, there: Declared) -> Result<Declared> {
    let file = place::declaration(&there.name);
    let differs = |key: &str| {
        Err(Error::no(format!("{} is declared already, with another {key}: nothing was changed", there.name))
            .hint(format!("edit {}, then: fleet tenant apply {}", file.display(), there.name)))
    };
    if wanted.user != there.user {
        return differs("user");
    }
    if wanted.uid.is_some() && wanted.uid != there.uid {
        return differs("uid");
    }
    if wanted.home.is_some() && wanted.home != there.home {
        return differs("home");
    }
    if wanted.shell.is_some() && wanted.shell != there.shell {
        return differs("shell");
    }
    if let (Fleet::Profile(profile), Fleet::Own) = (&wanted.fleet, &there.fleet) {
        let error = Error::no(format!("{} is declared without a roster: nothing was changed", there.name));
        let (file, name) = (file.display(), &there.name);
        let profile = profile.name();
        return Err(
            error.hint(format!("add to {file} the line profile: {profile}, then: fleet tenant apply {name}"))
        );
    }
    if wanted.fleet != Fleet::Own && wanted.fleet != there.fleet {
        return differs("roster");
    }
    if there.state == State::Present {
        return Ok(there);
    }
    set_state(&there, State::Present)
}

/// Writes another state into the declaration; what an admin wrote stays.
pub fn set_state(declared: &Declared, state: State) -> Result<Declared> {
    let file = place::declaration(&declared.name);
    let by_hand = || {
        Error::no(format!("{} can't be changed without a loss: nothing was changed", file.display()))
            .hint(format!("write into it yourself: state: {}", state.as_str()))
    };
    let bytes = store::declaration_text(&declared.name)?.unwrap_or_default();
    let text = place::with_state(&String::from_utf8_lossy(&bytes), state);
    let wanted = Declared { state, ..declared.clone() };
    match read(text.as_bytes(), &file, &declared.name) {
        Ok(read) if read == wanted => store::declare(&declared.name, &text).map(|()| wanted),
        _ => Err(by_hand()),
    }
}
