//! Messages in the middle of which the power goes: typed to one agent, kept for one that is stopped, handed out to one
//! that was parked. After the boot each is sent again with its key, and what waits is handed out: none is heard twice,
//! and none is lost of which it was said that it is kept.

use std::collections::{BTreeMap, BTreeSet};

use mosaic_fleet::runfile::queued::Place;
use mosaic_fleet::runfile::receipt::{Receipt, State};

use crate::BOUND;
use crate::fleet::rig::Run;
use crate::fleet::{Fleet, MOSAIC};
use crate::kept::{Kept, heard};
use crate::work::power_is_off;

/// So many are queued for one start.
const ROW: usize = 4;
/// No hand-out takes that long, in milliseconds.
const HANDED_OUT_WITHIN: &str = "100000";

/// How a message reaches its agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It is typed, to an agent that runs.
    Typed,
    /// It waits for an agent that the roster stops, until somebody asks for its mail.
    Kept,
    /// It waits for an agent that is parked, whose supervisor hands it out at the next start.
    HandedOut,
}

impl Way {
    fn agent(self) -> &'static str {
        if self == Self::Kept { "waits" } else { "ear" }
    }

    /// Sends a message, or sends it again: nothing of the call differs. Its body is its id.
    fn send(self, fleet: &Fleet, id: &str, more: &[&str]) -> (Run, Option<Receipt>) {
        let mut argv = vec!["mosaic", "agent", "send", self.agent(), "-m", id, "--id", id, "--json"];
        if self != Self::Typed {
            argv.push("--queue");
        }
        argv.extend(more);
        let run = fleet.run(&argv);
        let receipt = Receipt::parse(&run.stdout);
        (run, receipt)
    }
}

/// Messages by their ids, as their sender knows of them.
#[derive(Default)]
pub struct Sent {
    /// Those since the last look, with what their sender was told, if it was told anything.
    messages: BTreeMap<String, (Way, Option<Receipt>)>,
    /// All that there ever were.
    ids: BTreeSet<String>,
    /// How many senders were told something.
    pub told: usize,
}

impl Sent {
    /// What the sender was told; or what it saw of its failure.
    pub fn send(&mut self, fleet: &Fleet, way: Way, id: &str) -> Result<Receipt, Run> {
        let (run, receipt) = way.send(fleet, id, &[]);
        let receipt = receipt.filter(|_| run.code == 0);
        self.told += usize::from(receipt.is_some());
        self.ids.insert(id.to_owned());
        self.messages.insert(id.to_owned(), (way, receipt.clone()));
        receipt.ok_or(run)
    }

    fn next(&mut self, fleet: &Fleet, cut: usize, number: usize) -> Result<Receipt, Run> {
        self.send(fleet, [Way::Typed, Way::Kept][number % 2], &format!("c{cut}n{number}"))
    }

    /// One of each kind, before the power can go: of these it is known what was said.
    pub fn begin(&mut self, fleet: &Fleet, cut: usize) {
        for number in 0..2 {
            self.next(fleet, cut, number).unwrap_or_else(|failed| panic!("{}", failed.report()));
        }
    }

    /// More of them, one after another, until none is taken any more.
    pub fn send_until_cut(&mut self, fleet: &Fleet, cut: usize) {
        for number in 2.. {
            if let Err(failed) = self.next(fleet, cut, number) {
                return power_is_off(fleet, &failed);
            }
        }
    }

    /// The agent is parked, and a row of messages waits for it; what was said of each.
    pub fn park(&mut self, fleet: &Fleet, row: &str) -> Result<Vec<Receipt>, Run> {
        let stop = fleet.run(&["fleet", "stop", Way::HandedOut.agent()]);
        if stop.code != 0 {
            return Err(stop);
        }
        (0..ROW).map(|number| self.send(fleet, Way::HandedOut, &format!("{row}h{number}"))).collect()
    }

    /// The agent is started: its supervisor hands out what waits.
    pub fn start(fleet: &Fleet) -> Result<(), Run> {
        let start = fleet.run(&["fleet", "start", Way::HandedOut.agent()]);
        if start.code == 0 { Ok(()) } else { Err(start) }
    }

    /// What became of the last one of a row that is handed out.
    pub fn end_of(fleet: &Fleet, row: &str) -> Result<Receipt, Run> {
        // Who asks again with the same key waits for it.
        let verify = ["--verify", "--verify-timeout", HANDED_OUT_WITHIN];
        let (run, receipt) = Way::HandedOut.send(fleet, &format!("{row}h{}", ROW - 1), &verify);
        receipt.filter(|_| run.code == 0).ok_or(run)
    }

    /// That row is handed out already, then another one is queued and handed out, until there is nobody any more.
    pub fn hand_out_until_cut(&mut self, fleet: &Fleet, mut row: String) {
        loop {
            let ended = Self::end_of(fleet, &row);
            row.push('x');
            let parked = ended.and_then(|_| self.park(fleet, &row));
            if let Err(failed) = parked.and_then(|_| Self::start(fleet)) {
                return power_is_off(fleet, &failed);
            }
        }
    }

    /// That disk has what senders were told, and nothing that nobody sent.
    pub fn is_kept(&self, kept: &Kept, when: &str) {
        for receipt in self.messages.values().filter_map(|(_, receipt)| receipt.as_ref()) {
            kept.has(receipt, when);
        }
        assert!(kept.heard.keys().all(|id| self.ids.contains(id)), "{when}: {:?}", kept.heard);
    }

    /// On a machine that booted from that disk everything is handed out, sent again, and handed out again. Each is
    /// heard once then, or at most once where its receipt says that nobody knows.
    pub fn is_settled(&mut self, fleet: &Fleet, kept: &Kept, when: &str) {
        let mut mail = mail(fleet);
        deliver(fleet);
        let mut due = Vec::new();
        for (id, (way, _)) in &self.messages {
            let (run, again) = way.send(fleet, id, &[]);
            let again = again.unwrap_or_else(|| panic!("{when}: {}", run.report()));
            let on_disk = kept.receipts.get(id);
            let had_gone_out = on_disk.is_some_and(|receipt| receipt.state.may_have_arrived());
            let is_first = on_disk.filter(|_| had_gone_out || kept.queued.contains_key(id));
            if let Some(first) = is_first {
                assert_eq!(
                    again.created_at, first.created_at,
                    "{when}: {id}: not its first receipt: {again:?}"
                );
            }
            let expected = match (way, again.state) {
                // It may have been typed, and nobody knows.
                (Way::Typed, State::Unknown) => had_gone_out,
                (Way::HandedOut, State::Unknown) => is_first.is_some(),
                (Way::Typed, state) => matches!(state, State::Typed | State::Submitted),
                (Way::HandedOut, State::Submitted) | (Way::Kept, State::Accepted) => is_first.is_some(),
                // It never was in the queue, and is now.
                (_, State::Held) => is_first.is_none(),
                _ => false,
            };
            assert!(expected, "{when}: {id} was {on_disk:?} and is {again:?}");
            assert_eq!(run.code, i32::from(again.state == State::Unknown), "{when}: {}", run.report());
            let certain = match way {
                // Of what was typed and lost with the power, nobody says more.
                Way::Typed => !had_gone_out,
                Way::HandedOut => again.state != State::Unknown,
                Way::Kept => true,
            };
            due.extend(certain.then(|| (*way, id.clone())));
        }
        mail.push_str(&self::mail(fleet));
        deliver(fleet);
        let (mail, heard) = (heard(&mail), self.listen(fleet, when));
        for (way, id) in due {
            let there = if way == Way::Kept { &mail } else { &heard };
            assert!(there.contains_key(&id), "{when}: {id} is lost: {there:?}");
        }
    }

    /// All that was heard: one more message is, and whoever hears does so in order.
    fn listen(&mut self, fleet: &Fleet, when: &str) -> BTreeMap<String, usize> {
        let end = format!("end{}", self.ids.len());
        self.ids.insert(end.clone());
        Way::Typed.send(fleet, &end, &[]).0.ok();
        let mut times = BTreeMap::new();
        fleet.rig.wait_until("the last message is heard", BOUND, || {
            times = heard(&fleet.sh("cat ~/heard").stdout);
            times.contains_key(&end)
        });
        assert!(times.keys().all(|id| self.ids.contains(id)), "{when}: {times:?}");
        times
    }

    /// Those are settled.
    pub fn forget(&mut self) {
        self.messages.clear();
    }
}

/// What waits for the agent that is stopped, as a hook gets it.
fn mail(fleet: &Fleet) -> String {
    fleet.run(&["mosaic", "mail", "check", "--inject", "--agent", Way::Kept.agent()]).ok()
}

/// Waits until nothing waits for the other one, nor is claimed. Its supervisor does so since the boot; where it could
/// not see a message taken, the next ones wait for somebody else.
fn deliver(fleet: &Fleet) {
    let agent = Way::HandedOut.agent();
    fleet.rig.wait_until("what waits is handed out", BOUND, || {
        let names = fleet.sh(&format!("ls -A {MOSAIC}/fleet/run/queue/{agent} 2>/dev/null || true")).ok();
        let waits = names.lines().any(|name| Place::of_any(name).is_some());
        if waits {
            fleet.run(&["mosaic", "agent", "deliver", agent]);
        }
        !waits
    });
}
