//! A booted rig for tenants that root makes, and what tests ask of them.
#![allow(dead_code, reason = "no test file uses all of it")]

#[path = "rig.rs"]
pub mod rig;

use std::time::Duration;

use rig::{Rig, Suite};
use serde_json::Value;

/// Bound for what takes a moment.
pub const SOON: Duration = Duration::from_secs(60);

pub fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in\n{text}"))
}

/// A rig whose users get numbers that no other rig's have: the kernel counts some things by uid alone.
pub fn boot(suite: Suite) -> Rig {
    let rig = Rig::boot(suite);
    let seed: u32 = rig.name().bytes().fold(7, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let first = 10_000 + seed % 45_000;
    let set = format!("sed -i 's/^UID_MIN.*/UID_MIN {first}/' /etc/login.defs");
    rig.root_ok(&["sh", "-c", &set]);
    rig
}

pub fn uid(rig: &Rig, user: &str) -> u32 {
    rig.root_ok(&["id", "-u", user]).trim().parse().expect("a uid")
}

/// Whether every tenant's fleet is what its roster says.
pub fn all_green(rig: &Rig) -> bool {
    rig.root(&["fleet", "verify", "--all-tenants"]).code == 0
}

/// Processes of that uid, as the kernel has them.
pub fn processes(rig: &Rig, uid: u32) -> String {
    rig.root(&["pgrep", "-l", "-U", &uid.to_string()]).stdout
}

/// The tenants of an answer, by name.
pub fn tenant<'v>(value: &'v Value, name: &str) -> &'v Value {
    let tenants = value["tenants"].as_array().unwrap_or_else(|| panic!("no tenants in {value:#}"));
    tenants.iter().find(|t| t["tenant_id"] == name).unwrap_or_else(|| panic!("no {name} in {value:#}"))
}

/// Declares a tenant.
pub fn declare(rig: &Rig, name: &str, text: &str) {
    let script = "install -d -m 0755 /etc/mosaic; install -d -m 0700 /etc/mosaic/tenants.d; umask 077; cat >/etc/mosaic/tenants.d/$1.yaml";
    rig.as_user_with("root", &["sh", "-c", script, "sh", name], text.as_bytes()).ok();
}
