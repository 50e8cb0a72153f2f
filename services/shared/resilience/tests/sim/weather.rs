//! [`Weather`]: what goes wrong, and when it is put right. Decided before the story begins, by its number.

use std::time::Duration;

use turmoil::Sim;

use crate::dice::Dice;
use crate::host::Mood;
use crate::ledger::Ledger;
use crate::{CALLERS, HOSTS, STORM};

/// What can go wrong between a caller and a host, or with a host.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// Nothing passes, and nobody is told.
    Cut(usize, usize),
    /// Requests pass, answers do not.
    Mute(usize, usize),
    /// What is said arrives when it is over.
    HeldUp(usize, usize),
    Crash(usize),
    Mood(usize, Mood),
}

/// What goes wrong in one story.
#[derive(Debug)]
pub(crate) struct Weather {
    /// From when to when.
    troubles: Vec<(Duration, Duration, Trouble)>,
    is_calm: bool,
}

/// The host that nothing ever happens to in this story.
pub(crate) fn spared(seed: u64) -> usize {
    usize::try_from(seed % HOSTS.len() as u64).unwrap()
}

impl Weather {
    pub(crate) fn of(seed: u64) -> Self {
        let dice = Dice::new(seed, 99);
        let spared = spared(seed);
        // In one story of four nobody is spared: then nobody may be well at all.
        let struck: Vec<usize> =
            (0..HOSTS.len()).filter(|host| seed.is_multiple_of(4) || *host != spared).collect();
        let mut troubles = Vec::new();
        let mut at = Duration::from_millis(500);
        while at < STORM {
            let (host, caller) = (struck[dice.index(struck.len())], dice.index(CALLERS.len()));
            let trouble = match dice.below(8) {
                0 => Trouble::Cut(caller, host),
                1 => Trouble::Mute(caller, host),
                2 => Trouble::HeldUp(caller, host),
                3 => Trouble::Crash(host),
                4 | 5 => Trouble::Mood(host, Mood::Sick),
                6 => Trouble::Mood(host, Mood::Slow),
                _ => Trouble::Mood(host, Mood::Hung),
            };
            troubles.push((at, (at + dice.millis(100..2_500)).min(STORM), trouble));
            at += dice.millis(50..700);
        }
        Self { troubles, is_calm: false }
    }

    /// Brings about what is due.
    pub(crate) fn pass(&mut self, sim: &mut Sim<'_>, ledger: &Ledger) {
        let now = sim.elapsed();
        let is_due = |at: Duration| at <= now && now < at + Duration::from_millis(1);
        for (from, to, trouble) in &self.troubles {
            if is_due(*from) {
                begin(*trouble, sim, ledger);
            }
            if is_due(*to) {
                end(*trouble, sim, ledger);
            }
        }
        if now >= STORM && !self.is_calm {
            self.is_calm = true;
            calm(sim, ledger);
        }
    }
}

fn begin(trouble: Trouble, sim: &mut Sim<'_>, ledger: &Ledger) {
    match trouble {
        Trouble::Cut(caller, host) => sim.partition(CALLERS[caller], HOSTS[host]),
        Trouble::Mute(caller, host) => sim.partition_oneway(HOSTS[host], CALLERS[caller]),
        Trouble::HeldUp(caller, host) => sim.hold(CALLERS[caller], HOSTS[host]),
        Trouble::Crash(host) => sim.crash(HOSTS[host]),
        Trouble::Mood(host, mood) => ledger.set_mood(host, mood),
    }
}

fn end(trouble: Trouble, sim: &mut Sim<'_>, ledger: &Ledger) {
    match trouble {
        Trouble::Cut(caller, host) | Trouble::Mute(caller, host) => {
            sim.repair(CALLERS[caller], HOSTS[host]);
        }
        Trouble::HeldUp(caller, host) => sim.release(CALLERS[caller], HOSTS[host]),
        Trouble::Crash(host) => restart(sim, host),
        Trouble::Mood(host, _) => ledger.set_mood(host, Mood::Well),
    }
}

fn restart(sim: &mut Sim<'_>, host: usize) {
    if !sim.is_host_running(HOSTS[host]) {
        sim.bounce(HOSTS[host]);
    }
}

/// Whatever troubles did to each other, all is put right.
fn calm(sim: &mut Sim<'_>, ledger: &Ledger) {
    for (number, host) in HOSTS.into_iter().enumerate() {
        for caller in CALLERS {
            sim.release(caller, host);
            sim.repair(caller, host);
        }
        restart(sim, number);
        ledger.set_mood(number, Mood::Well);
    }
}
