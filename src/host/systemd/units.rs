//! Facts of units: states by one call for all, single properties in one round trip for as many units
//! as are asked for. Nothing here asks for all properties of a unit, which costs ten times as much.

use std::collections::{BTreeMap, BTreeSet};

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
    /// [`UnitDetail::needs_reload`]: by far the dearest. systemd looks through its unit folders for each
    /// answer (257 takes 1.5 ms a unit, 252 a twentieth of it). [`UserManager::behind`] asks it of few.
    NeedsReload,
    /// [`UnitDetail::file_state`]
    FileState,
}

impl Detail {
    /// All of them, the dear one too.
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

    /// Those of `units` whose files changed since the manager read them.
    ///
    /// Instances of a template share its files, so the first of them answers for all, but for those
    /// that have files of their own as well: that is what makes [`Detail::NeedsReload`] affordable.
    pub fn behind<'u>(
        &self,
        units: &[&'u str],
        has_own_files: impl Fn(&str) -> bool,
    ) -> Result<BTreeSet<&'u str>, SystemdError> {
        let mut speakers: BTreeMap<String, &str> = BTreeMap::new();
        let speaker_of: BTreeMap<&'u str, &'u str> = units
            .iter()
            .map(|unit| match template(unit).filter(|_| !has_own_files(unit)) {
                Some(template) => (*unit, *speakers.entry(template).or_insert(unit)),
                None => (*unit, *unit),
            })
            .collect();
        let asked: BTreeSet<&str> = speaker_of.values().copied().collect();
        let asked: Vec<&str> = asked.into_iter().collect();
        let mut behind = BTreeSet::new();
        for (unit, fact) in self.details(&asked, &[Detail::NeedsReload])? {
            match fact {
                Fact::Known(detail) if detail.needs_reload => drop(behind.insert(unit)),
                Fact::Known(_) => {}
                Fact::Unknown(seen) => {
                    let what = format!("ask whether the files of {unit} changed");
                    return Err(SystemdError::Garbled { what, seen });
                }
            }
        }
        Ok(units.iter().copied().filter(|unit| behind.contains(speaker_of[unit])).collect())
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

    /// Where the units are in the manager's tree; asked for where it has not been told yet.
    pub(super) fn places_of(
        &self,
        units: &[&str],
    ) -> Result<Vec<Result<OwnedObjectPath, SystemdError>>, SystemdError> {
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

/// The template that a unit is an instance of.
fn template(unit: &str) -> Option<String> {
    let (prefix, instance) = unit.split_once('@')?;
    let (_, kind) = instance.rsplit_once('.')?;
    Some(format!("{prefix}@.{kind}"))
}

/// systemd counts in microseconds.
fn seconds(microseconds: u64) -> f64 {
    std::time::Duration::from_micros(microseconds).as_secs_f64()
}

#[cfg(test)]
mod tests;
