//! What benches share that measure a tenant with a hundred agents: both trees booted, the tenant made, the
//! bench itself run inside.

use crate::common::{Figures, INSIDE, measures};
use crate::fleet::SOON;
use crate::fleet::rig::{Rig, Suite};

pub const AGENTS: usize = 100;
/// The tenant's user.
pub const USER: &str = "t100";

/// One bench of the kind.
pub struct Bench {
    /// Where the bench's own program is put in the rig.
    pub program: &'static str,
    /// A uid that no test's rig has: all rigs share the kernel, and what it gives each uid to watch files with.
    pub uid: u32,
    pub roster: String,
    /// What comes after the roster is written and before anything is measured.
    pub ready: fn(&Rig),
    pub rounds: usize,
}

/// The name of an agent.
pub fn name(agent: usize) -> String {
    format!("agent{agent}")
}

impl Bench {
    /// Runs it in both trees; `tell` hears a tree's name and the numbers that the part inside printed.
    pub fn run<const N: usize>(&self, mut figures: Figures, tell: impl Fn(&mut Figures, &str, [f64; N])) {
        if let Err(why) = Rig::available() {
            println!("left out, as it needs to boot Debian as root: {why}");
            return;
        }
        let rounds = if measures() { self.rounds } else { 1 };
        for suite in Suite::both() {
            let rig = Rig::boot(suite);
            rig.take_program(self.program);
            self.tenant(&rig);
            let told = rig.root_ok(&[self.program, INSIDE, &rounds.to_string()]);
            let numbers: Vec<f64> = told.split_whitespace().filter_map(|n| n.parse().ok()).collect();
            let Ok(numbers) = numbers.try_into() else { panic!("{told}") };
            tell(&mut figures, &format!("{suite:?}"), numbers);
        }
        figures.finish();
    }

    fn tenant(&self, rig: &Rig) {
        let uid = self.uid.to_string();
        rig.root_ok(&["useradd", "--create-home", "--uid", &uid, "--shell", "/bin/bash", USER]);
        rig.root_ok(&["loginctl", "enable-linger", USER]);
        rig.wait_until("the user manager runs", SOON, || rig.manager_runs(self.uid));
        rig.write(&format!("/home/{USER}/.config/mosaic/fleet/roster.yaml"), &self.roster, USER);
        (self.ready)(rig);
    }
}
