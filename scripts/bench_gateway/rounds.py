"""Rounds in which each takes its turn, so that whatever else the machine does falls on all of them alike."""
from load import check, drop_log
from machine import ROUNDS, SECONDS, say, spread

FIGURES = ("cpu_us", "user_us", "system_us", "rate", "p50_ms", "p99_ms", "busy")
WARM_SECONDS = 2
LINES_LATE_MAX = 2_000


class Turn:
    """One row: a proxy, and what it is asked (`load.wrk` or `load.h2load`)."""

    def __init__(self, name, proxy, load, token=None):
        self.name, self.proxy, self.load, self.token, self.runs = name, proxy, load, token, []

    def take(self):
        """A round of it; `void` says why it does not count."""
        before = check(self.proxy, self.token)
        run = self.load(self.proxy, SECONDS)
        logged = drop_log(self.proxy)
        run["void"] = run["void"] or before or check(self.proxy, self.token)
        # A line an answer, but for what still waits to be written: else it had less to do than the others.
        if self.proxy.access_log and logged < run["requests"] - LINES_LATE_MAX:
            run["void"] = run["void"] or f"{logged} lines of log for {run['requests']} requests"
        run["memory_mb"] = self.proxy.memory_mb()
        self.runs.append(run)
        told = f"void: {run['void']}" if run["void"] else f"{run['cpu_us']:.1f} µs, {run['rate']:.0f}/s, p99 {run['p99_ms']:.2f} ms"
        say(f"{self.name}: {told}")


def play(turns, rounds=ROUNDS):
    """Plays the rounds; gives a row each, compared with the first."""
    for turn in turns:
        turn.load(turn.proxy, WARM_SECONDS)
        drop_log(turn.proxy)
    for _ in range(rounds):
        for turn in turns:
            turn.take()
    return [row(turn, turns[0]) for turn in turns]


def row(turn, first):
    good = [run for run in turn.runs if not run["void"]]
    pairs = [(ours, its) for ours, its in zip(first.runs, turn.runs) if not ours["void"] and not its["void"]]
    found = {"name": turn.name, "void": [run["void"] for run in turn.runs if run["void"]], "memory_mb": spread([run["memory_mb"] for run in good])}
    found |= {figure: spread([run[figure] for run in good]) for figure in FIGURES}
    for figure in ("cpu_us", "p99_ms"):
        found[f"first_to_it_{figure}"] = spread([ours[figure] / its[figure] for ours, its in pairs])
        found[f"it_to_first_{figure}"] = spread([its[figure] / ours[figure] for ours, its in pairs])
    return found
