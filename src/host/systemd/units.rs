//! Facts of units: states by one call for all, single properties in one round trip for as many units
//! as are asked for. Nothing here asks for all properties of a unit, which costs ten times as much.

use std::collections::BTreeMap;

use zbus::{Message, OwnedObjectPath, Variant};

use super::connection::{UserManager, bounded, manager};
use super::error::SystemdError;
use super::exchange::{answers, call};
use super::proxy::{MANAGER, MANAGER_PATH, PROPERTIES, SERVICE, UNIT};
use crate::snapshot::{Fact, Manager, UnitDetail, UnitFacts};

/// One property of a unit that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Detail {
    /// [`UnitDetail::main_pid`]
    MainPid,
    /// [`UnitDetail::cgroup`]
    Cgroup,
    /// [`UnitDetail::status_text`]
    StatusText,
    /// [`UnitDetail::restarts`]
    Restarts,
    /// [`UnitDetail::result`]
    Result,
    /// [`UnitDetail::exit_status`]
    ExitStatus,
    /// [`UnitDetail::exit_code`]
    ExitCode,
    /// [`UnitDetail::active_since`]
    ActiveSince,
    /// [`UnitDetail::fragment`]
    Fragment,
    /// [`UnitDetail::drop_ins`]
    DropIns,
    /// [`UnitDetail::needs_reload`]
    NeedsReload,
    /// [`UnitDetail::file_state`]
    FileState,
}

impl Detail {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::MainPid,
        Self::Cgroup,
        Self::StatusText,
        Self::Restarts,
        Self::Result,
        Self::ExitStatus,
        Self::ExitCode,
        Self::ActiveSince,
        Self::Fragment,
        Self::DropIns,
        Self::NeedsReload,
        Self::FileState,
    ];
    /// What tells of the process: enough to show a row.
    pub const PROCESS: &[Self] = &[Self::MainPid, Self::Cgroup, Self::StatusText, Self::Restarts];

    fn property(self) -> (&'static str, &'static str) {
        match self {
            Self::MainPid => (SERVICE, "MainPID"),
            Self::Cgroup => (SERVICE, "ControlGroup"),
            Self::StatusText => (SERVICE, "StatusText"),
            Self::Restarts => (SERVICE, "NRestarts"),
            Self::Result => (SERVICE, "Result"),
            Self::ExitStatus => (SERVICE, "ExecMainStatus"),
            Self::ExitCode => (SERVICE, "ExecMainCode"),
            Self::ActiveSince => (UNIT, "ActiveEnterTimestampMonotonic"),
            Self::Fragment => (UNIT, "FragmentPath"),
            Self::DropIns => (UNIT, "DropInPaths"),
            Self::NeedsReload => (UNIT, "NeedDaemonReload"),
            Self::FileState => (UNIT, "UnitFileState"),
        }
    }

    /// Puts a property's value in its place.
    fn fill(self, detail: &mut UnitDetail, value: Variant<'_>) -> zbus::Result<()> {
        match self {
            Self::MainPid => detail.main_pid = i32::try_from(u32::try_from(value)?).unwrap_or_default(),
            Self::Cgroup => detail.cgroup = value.try_into()?,
            Self::StatusText => detail.status_text = value.try_into()?,
            Self::Restarts => detail.restarts = value.try_into()?,
            Self::Result => detail.result = value.try_into()?,
            Self::ExitStatus => detail.exit_status = value.try_into()?,
            Self::ExitCode => detail.exit_code = value.try_into()?,
            Self::ActiveSince => detail.active_since = seconds(value.try_into()?),
            Self::Fragment => detail.fragment = value.try_into()?,
            Self::DropIns => detail.drop_ins = value.try_into()?,
            Self::NeedsReload => detail.needs_reload = value.try_into()?,
            Self::FileState => detail.file_state = value.try_into()?,
        }
        Ok(())
    }
}

/// Which of a unit's processes a signal is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// The main process.
    Main,
    /// Every process in its cgroup.
    All,
}

impl UserManager {
    /// The manager itself.
    pub fn manager(&self) -> Result<Manager, SystemdError> {
        let what = "ask the user manager for its version";
        let get = |property| call(MANAGER_PATH, PROPERTIES, "Get", &(MANAGER, property));
        let (version, started) = bounded(what, self.limit, async {
            let calls = [get("Version")?, get("UserspaceTimestampMonotonic")?];
            let mut answers = answers(&self.connection, &calls).await?.into_iter();
            let mut next = || answers.next().unwrap_or_else(|| Err(SystemdError::ended()));
            let (version, started) = (next()?, next()?);
            let version: String = version.body().deserialize::<Variant<'_>>()?.try_into()?;
            let started: u64 = started.body().deserialize::<Variant<'_>>()?.try_into()?;
            Ok((version, started))
        })?;
        Ok(Manager { version, started: seconds(started) })
    }

    /// The loaded units whose names match one of `patterns` (globs), without details.
    pub fn units(&self, patterns: &[&str]) -> Result<BTreeMap<String, UnitFacts>, SystemdError> {
        let rows = bounded("list the user manager's units", self.limit, async {
            manager(&self.connection).await?.list_units_by_patterns(&[], patterns).await
        })?;
        let mut places = self.places();
        let mut units = BTreeMap::new();
        for (name, _, load, active, sub, _, place, _, job, _) in rows {
            places.insert(name.clone(), place);
            units.insert(name, UnitFacts { load, active, sub, job, detail: None });
        }
        Ok(units)
    }

    /// The same, with the details of each; one that could not be had stays `None`.
    pub fn units_with(
        &self,
        patterns: &[&str],
        wanted: &[Detail],
    ) -> Result<BTreeMap<String, UnitFacts>, SystemdError> {
        let mut units = self.units(patterns)?;
        let names: Vec<&str> = units.keys().map(String::as_str).collect();
        let mut details = self.details(&names, wanted)?;
        for (name, facts) in &mut units {
            if let Some(Fact::Known(detail)) = details.remove(name) {
                facts.detail = Some(detail);
            }
        }
        Ok(units)
    }

    /// The `wanted` properties of each unit, all in one round trip; a second one before it where
    /// [`UserManager::units`] has not told of a unit yet, which is then loaded.
    pub fn details(
        &self,
        units: &[&str],
        wanted: &[Detail],
    ) -> Result<BTreeMap<String, Fact<UnitDetail>>, SystemdError> {
        let places = self.places_of(units)?;
        let mut asked: Vec<(&str, Detail)> = Vec::new();
        let mut calls: Vec<Message> = Vec::new();
        let mut details: BTreeMap<String, Fact<UnitDetail>> = BTreeMap::new();
        for (unit, place) in units.iter().zip(places) {
            let place = match place {
                Ok(place) => place,
                Err(error) => {
                    details.insert((*unit).to_owned(), Fact::Unknown(error.to_string()));
                    continue;
                }
            };
            if details.insert((*unit).to_owned(), Fact::Known(UnitDetail::default())).is_some() {
                continue;
            }
            for detail in wanted {
                let (interface, property) = detail.property();
                if interface == SERVICE && !unit.ends_with(".service") {
                    continue;
                }
                let get = call(place.as_str(), PROPERTIES, "Get", &(interface, property));
                calls.push(get.map_err(|e| SystemdError::from_call("ask for a property", e))?);
                asked.push((unit, *detail));
            }
        }
        let what = "ask the user manager for properties of units";
        let answers = bounded(what, self.limit, answers(&self.connection, &calls))?;
        for ((unit, wanted), answer) in asked.into_iter().zip(answers) {
            let Some(fact) = details.get_mut(unit) else { continue };
            let Fact::Known(detail) = fact else { continue };
            let filled = answer.and_then(|m| wanted.fill(detail, m.body().deserialize::<Variant<'_>>()?));
            if let Err(error) = filled {
                let what = format!("ask for {} of {unit}", wanted.property().1);
                *fact = Fact::Unknown(SystemdError::from_call(&what, error).to_string());
            }
        }
        Ok(details)
    }

    /// Sends a signal to a unit's processes.
    pub fn kill(&self, unit: &str, whom: Whom, signal: i32) -> Result<(), SystemdError> {
        let whom = match whom {
            Whom::Main => "main",
            Whom::All => "all",
        };
        bounded(&format!("send signal {signal} to {unit}"), self.limit, async {
            manager(&self.connection).await?.kill_unit(unit, whom, signal).await
        })
    }

    /// Forgets that a unit failed, with its count of starts.
    pub fn reset_failed(&self, unit: &str) -> Result<(), SystemdError> {
        bounded(&format!("reset the failure of {unit}"), self.limit, async {
            manager(&self.connection).await?.reset_failed_unit(unit).await
        })
    }

    /// Moves processes into a unit's cgroup; the unit must delegate it, and be active or starting.
    pub fn attach(&self, unit: &str, pids: &[u32]) -> Result<(), SystemdError> {
        bounded(&format!("move processes into {unit}"), self.limit, async {
            manager(&self.connection).await?.attach_processes_to_unit(unit, "", pids).await
        })
    }

    /// Where the units are in the manager's tree; asked for where it has not been told yet.
    fn places_of(&self, units: &[&str]) -> Result<Vec<Result<OwnedObjectPath, SystemdError>>, SystemdError> {
        let unknown: Vec<&str> = {
            let places = self.places();
            units.iter().copied().filter(|unit| !places.contains_key(*unit)).collect()
        };
        let what = |unit: &str| format!("have the user manager look at {unit}");
        let mut failed = BTreeMap::new();
        if !unknown.is_empty() {
            let calls = unknown
                .iter()
                .map(|unit| call(MANAGER_PATH, MANAGER, "LoadUnit", unit))
                .collect::<zbus::Result<Vec<Message>>>();
            let calls = calls.map_err(|error| SystemdError::from_call("load units", error))?;
            let answers = bounded("load units", self.limit, answers(&self.connection, &calls))?;
            let mut places = self.places();
            for (unit, answer) in unknown.into_iter().zip(answers) {
                match answer.and_then(|m| m.body().deserialize::<OwnedObjectPath>()) {
                    Ok(place) => {
                        places.insert(unit.to_owned(), place);
                    }
                    Err(error) => {
                        failed.insert(unit, SystemdError::from_call(&what(unit), error));
                    }
                }
            }
        }
        let places = self.places();
        let place = |unit: &&str| match (places.get(*unit), failed.get(*unit)) {
            (Some(place), _) => Ok(place.clone()),
            (None, Some(error)) => Err(error.clone()),
            (None, None) => Err(SystemdError::from_call(&what(unit), SystemdError::ended())),
        };
        Ok(units.iter().map(place).collect())
    }

    fn places(&self) -> std::sync::MutexGuard<'_, std::collections::HashMap<String, OwnedObjectPath>> {
        // A thread that died in between has left at worst a place less in it.
        self.places.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// systemd counts in microseconds.
fn seconds(microseconds: u64) -> f64 {
    std::time::Duration::from_micros(microseconds).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, Turn};
    use super::super::proxy::UnitRow;
    use super::*;

    fn row(name: &str, active: &str, job: &str) -> UnitRow {
        let place = |tail: &str| {
            OwnedObjectPath::try_from(format!("/org/freedesktop/systemd1/unit/{tail}")).expect("a path")
        };
        let place = place(&name.replace(|c: char| !c.is_ascii_alphanumeric(), "_"));
        let text = str::to_owned;
        (
            text(name),
            text("d"),
            text("loaded"),
            text(active),
            text("running"),
            text(""),
            place.clone(),
            0,
            text(job),
            place,
        )
    }

    fn answer_get(turn: &mut Turn, call: &Message) {
        let (_, property): (String, String) = call.body().deserialize().expect("an interface and a property");
        match property.as_str() {
            "MainPID" => turn.reply_to(call, &Variant::from(4711_u32)),
            "ControlGroup" => turn.reply_to(call, &Variant::from("/u/app.slice/a.service")),
            "StatusText" => turn.reply_to(call, &Variant::from("running for 3 s")),
            "NRestarts" => turn.reply_to(call, &Variant::from(2_u32)),
            "Result" => turn.reply_to(call, &Variant::from("success")),
            "ExecMainStatus" => turn.reply_to(call, &Variant::from(3_i32)),
            "ExecMainCode" => turn.reply_to(call, &Variant::from(1_i32)),
            "ActiveEnterTimestampMonotonic" => turn.reply_to(call, &Variant::from(1_500_000_u64)),
            "FragmentPath" => turn.reply_to(call, &Variant::from("/h/a.service")),
            "DropInPaths" => turn.reply_to(call, &Variant::from(vec!["/h/a.service.d/m.conf"])),
            "NeedDaemonReload" => turn.reply_to(call, &Variant::from(true)),
            "UnitFileState" => turn.reply_to(call, &Variant::from("enabled")),
            "Version" => turn.reply_to(call, &Variant::from("252.39-1~deb12u2")),
            "UserspaceTimestampMonotonic" => turn.reply_to(call, &Variant::from(2_500_000_u64)),
            other => panic!("{other} was asked for"),
        }
    }

    #[test]
    fn states_of_all_units_come_by_one_call_and_their_details_by_one_round_trip() {
        let mut open = Vec::new();
        let (manager, fake) = Fake::manager(move |turn| match turn.method().as_str() {
            "ListUnitsByPatterns" => {
                let (states, patterns): (Vec<String>, Vec<String>) = turn.args();
                assert_eq!((states.len(), patterns), (0, vec!["mosaic-*".to_owned()]));
                turn.reply(&vec![
                    row("mosaic-agent@a.service", "active", ""),
                    row("b.target", "inactive", "start"),
                ]);
            }
            _ => {
                open.push(turn.call());
                // Twelve properties of the service, the five that every unit has of the target: none is
                // answered before the last is here.
                if open.len() == 17 {
                    open.iter().for_each(|call| answer_get(turn, call));
                }
            }
        });
        let units = manager.units_with(&["mosaic-*"], Detail::ALL).expect("listed");
        let all = UnitDetail {
            main_pid: 4711,
            cgroup: "/u/app.slice/a.service".to_owned(),
            status_text: "running for 3 s".to_owned(),
            restarts: 2,
            result: "success".to_owned(),
            exit_status: 3,
            exit_code: 1,
            active_since: 1.5,
            fragment: "/h/a.service".to_owned(),
            drop_ins: vec!["/h/a.service.d/m.conf".to_owned()],
            needs_reload: true,
            file_state: "enabled".to_owned(),
        };
        let service = &units["mosaic-agent@a.service"];
        assert_eq!((service.active.as_str(), service.job.as_str()), ("active", ""));
        assert_eq!(service.detail.as_ref(), Some(&all));
        let target = &units["b.target"];
        assert_eq!((target.active.as_str(), target.job.as_str()), ("inactive", "start"));
        assert_eq!(target.detail.as_ref().map(|d| (d.main_pid, d.active_since)), Some((0, 1.5)));
        drop(manager);
        assert_eq!(fake.calls().len(), 18);
    }

    #[test]
    fn a_unit_that_was_not_listed_is_looked_up_by_the_manager_and_never_by_a_path_of_ours() {
        let (manager, fake) = Fake::manager(|turn| match turn.method().as_str() {
            "LoadUnit" => match turn.args::<String>().as_str() {
                "bad" => turn.refuse("org.freedesktop.DBus.Error.InvalidArgs", "Unit name bad is not valid."),
                _ => turn.reply(&OwnedObjectPath::try_from("/somewhere/else").expect("a path")),
            },
            _ => {
                assert_eq!(turn.path(), "/somewhere/else");
                answer_get(turn, &turn.call());
            }
        });
        let details = manager.details(&["a.service", "bad"], &[Detail::MainPid]).expect("asked");
        assert_eq!(details["a.service"].known().map(|d| d.main_pid), Some(4711));
        let why = details["bad"].why().expect("not known");
        assert_eq!(why, "have the user manager look at bad: Unit name bad is not valid.");
        // Once told, it is not asked for again.
        manager.details(&["a.service"], &[Detail::Restarts]).expect("asked");
        drop(manager);
        assert_eq!(fake.calls(), ["LoadUnit", "LoadUnit", "Get", "Get"]);
    }

    #[test]
    fn a_property_that_can_not_be_had_leaves_that_unit_unknown_and_no_other() {
        let (manager, _fake) = Fake::manager(|turn| match turn.method().as_str() {
            "LoadUnit" => {
                let unit: String = turn.args();
                turn.reply(&OwnedObjectPath::try_from(format!("/{}", &unit[..1])).expect("a path"));
            }
            _ if turn.path() == "/b" => {
                turn.refuse("org.freedesktop.DBus.Error.UnknownProperty", "no such thing")
            }
            _ => answer_get(turn, &turn.call()),
        });
        let details = manager.details(&["a.service", "b.service"], Detail::PROCESS).expect("asked");
        assert!(details["a.service"].known().is_some());
        assert_eq!(details["b.service"].why(), Some("ask for MainPID of b.service: no such thing"));
    }

    #[test]
    fn an_answer_of_another_type_is_not_understood_rather_than_taken_for_nothing() {
        let (manager, _fake) = Fake::manager(|turn| match turn.method().as_str() {
            "LoadUnit" => turn.reply(&OwnedObjectPath::try_from("/a").expect("a path")),
            _ => turn.reply(&Variant::from("many")),
        });
        let details = manager.details(&["a.service"], &[Detail::MainPid]).expect("asked");
        let why = details["a.service"].why().expect("not known");
        assert!(why.contains("not understood"), "{why}");
    }

    #[test]
    fn the_manager_says_its_version_and_when_it_started() {
        let (manager, _fake) = Fake::manager(|turn| answer_get(turn, &turn.call()));
        let seen = manager.manager().expect("it answers");
        assert_eq!(seen, Manager { version: "252.39-1~deb12u2".to_owned(), started: 2.5 });
    }
}
