"""How the ways of balancing fare when one of five endpoints is ten times slower: services/gateway/examples/balancing.rs, which has gateway,
services and clients in one process."""
import json, subprocess, sys
from machine import PROGRAM, ROUNDS, SECONDS, say, spread

RATE = 500
EXAMPLE = PROGRAM.parent / "examples/balancing"


def measure():
    if not EXAMPLE.exists():
        sys.exit(f"{EXAMPLE} is missing: cargo build --release --package gateway --example balancing")
    say(f"balancing, {ROUNDS} rounds of {SECONDS} s for each way")
    ended = subprocess.run([EXAMPLE, str(ROUNDS), str(SECONDS), str(RATE)], stdout=subprocess.PIPE, check=True)
    found = json.loads(ended.stdout)
    figures = ("requests", "soon_percent", "slow_percent", "p50_ms", "p99_ms", "max_ms")
    return {"rate": found["rate"], "rows": [{"name": row["name"], **{figure: spread([one[figure] for one in row["rounds"]]) for figure in figures}}
                                           for row in found["rows"]]}
