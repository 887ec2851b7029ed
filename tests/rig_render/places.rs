//! Homes, folders and programs made at random: a unit that names them means just these to systemd.

use std::path::PathBuf;

use mosaic_fleet::layout::Layout;
use mosaic_fleet::names::HostName;
use mosaic_fleet::render::{Desired, Role, Site, render};
use proptest::prelude::*;

use super::Asked;
use super::hostile::{many, some};
use super::limits::fleet_of;
use super::rig::{Rig, Suite};

/// A site whose units can be rendered, and what they are.
#[derive(Debug, Clone)]
struct Placed {
    mosaic: String,
    program: String,
    tmux: String,
    agent: String,
    holder: String,
}

/// Pieces of names that a unit may have to name.
const PIECES: &str =
    " |%|%h|%%|%%h|#|;|=|:|@|!|-|+|&|<|>|(|)|{|}|[|]|*|?|~|`|,|.|^|é|日本|🙂|\u{301}|\u{2028}|\u{feff}|x|A1";

/// A folder's name.
fn name() -> impl Strategy<Value = String> {
    let pieces: Vec<&str> = PIECES.split('|').collect();
    let any = any::<char>().prop_map(String::from).prop_filter("a name's", |c| c != "/");
    let piece = prop_oneof![8 => proptest::sample::select(pieces).prop_map(str::to_owned), 1 => any];
    let name = proptest::collection::vec(piece, 1..9).prop_map(|pieces| pieces.concat());
    name.prop_filter("a name", |name| name != "." && name != "..")
}

fn placed() -> impl Strategy<Value = Placed> {
    let places = (any::<bool>(), name(), name(), name());
    places.prop_filter_map("it can be rendered", |(below, folder, bin, tmux)| {
        let parent = if below { "/home/demo" } else { "/srv" };
        let site = Site {
            layout: Layout::new("/home/demo", Some(PathBuf::from(parent).join(folder))),
            host: HostName::parse("h1").expect("a good name"),
            program: PathBuf::from("/opt").join(bin).join("fleet"),
            tmux: PathBuf::from("/opt").join(tmux).join("tmux"),
        };
        let fleet = fleet_of("  - {name: a, runtime: dogfood}\n").expect("a roster");
        let desired = render(&fleet, &site).ok()?;
        let unit = |desired: &Desired, role: Role| {
            desired.files.iter().find(|file| file.role == role).map(|file| file.content.clone())
        };
        let text = |path: &std::path::Path| path.to_str().map(str::to_owned);
        Some(Placed {
            mosaic: text(site.layout.mosaic())?,
            program: text(&site.program)?,
            tmux: text(&site.tmux)?,
            agent: unit(&desired, Role::AgentTemplate)?,
            holder: unit(&desired, Role::HolderUnit)?,
        })
    })
}

#[test]
fn systemd_finds_each_file_and_program_where_the_site_has_it() {
    if Rig::skipped() {
        return;
    }
    let sites = some(placed(), many(60).min(400));
    let files: Vec<(String, String)> = sites
        .iter()
        .enumerate()
        .flat_map(|(at, site)| {
            let path = |unit: &str| format!("etc/systemd/user/site{at}-{unit}.service");
            [(path("agent@"), site.agent.clone()), (path("holder"), site.holder.clone())]
        })
        .collect();
    for suite in Suite::both() {
        let rig = Rig::boot(suite);
        let asked = Asked::of(&rig, &files);
        assert_eq!(asked.complaints("/etc/systemd/user/site"), Vec::<String>::new(), "{suite:?}");
        let units = |at| [format!("site{at}-agent@a.service"), format!("site{at}-holder.service")];
        let units: Vec<String> = (0..sites.len()).flat_map(units).collect();
        let said = asked.show("LoadState,EnvironmentFiles,ExecStart,ExecStartPre", &units);
        for (site, said) in sites.iter().zip(said.chunks(2)) {
            let [agent, holder] = said else { panic!("{said:?}") };
            let when = format!("{suite:?}: {site:?}\n{agent:?}\n{holder:?}");
            let is = |of: &str, path: &str| of.contains(&format!("path={path} ;"));
            assert_eq!((&*agent["LoadState"], &*holder["LoadState"]), ("loaded", "loaded"), "{when}");
            let variables = format!("{}/fleet/agents/a.env (ignore_errors=no)", site.mosaic);
            assert_eq!(agent["EnvironmentFiles"], variables, "{when}");
            let script = format!("{}/tools/fleet/start-agent-session.sh", site.mosaic);
            assert!(is(&agent["ExecStart"], &script), "{when}");
            assert!(
                is(&holder["ExecStart"], &site.tmux) && is(&holder["ExecStartPre"], &site.program),
                "{when}"
            );
        }
    }
}
