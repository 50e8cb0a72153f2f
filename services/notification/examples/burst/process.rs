//! What processes take of the machine, from `/proc`.

use std::fs;

/// The kernel counts a process's time in hundredths of a second, on every machine that this runs on.
const TICKS_A_SECOND: f64 = 100.0;

/// What this process has in memory.
pub(crate) fn resident_mb() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// For how long a process had a processor.
pub(crate) fn cpu_seconds(process: u32) -> f64 {
    named(&process.to_string()).map_or(0.0, |(_, seconds)| seconds)
}

/// The same of all of a name that run.
pub(crate) fn cpu_seconds_of_all(name: &str) -> f64 {
    let all = fs::read_dir("/proc").unwrap();
    let all = all.filter_map(|entry| named(entry.ok()?.file_name().to_str()?));
    all.filter(|(known, _)| known == name).map(|(_, seconds)| seconds).sum()
}

/// A process's name and time; `None` if it is none.
fn named(process: &str) -> Option<(String, f64)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (before, after) = stat.rsplit_once(')')?;
    let fields: Vec<f64> =
        after.split_whitespace().skip(11).take(2).filter_map(|it| it.parse().ok()).collect();
    let name = before.split_once('(')?.1.to_owned();
    Some((name, fields.iter().sum::<f64>() / TICKS_A_SECOND))
}
