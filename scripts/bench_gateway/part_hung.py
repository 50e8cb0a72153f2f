"""What those notice who ask a service that is well, while another one behind the same gateway hangs: services/gateway/examples/hung.rs, which has gateway,
services and clients in one process."""
import json, subprocess, sys
from machine import PROGRAM, ROUNDS, SECONDS, say, spread

RATE = 500
EXAMPLE = PROGRAM.parent / "examples/hung"


def measure():
    if not EXAMPLE.exists():
        sys.exit(f"{EXAMPLE} is missing: cargo build --release --package gateway --example hung")
    say(f"hung, {ROUNDS} rounds of {SECONDS} s for each")
    ended = subprocess.run([EXAMPLE, str(ROUNDS), str(SECONDS), str(RATE)], stdout=subprocess.PIPE, check=True)
    found = json.loads(ended.stdout)
    well, hung = (next(row["rounds"] for row in found["rows"] if row["name"] == name) for name in ("well", "hung"))
    rows = [{"name": row["name"], **{figure: spread([one[figure] for one in row["rounds"]]) for figure in row["rounds"][0]}} for row in found["rows"]]
    # Of rounds that were neighbours.
    ratio = spread([second["p99_ms"] / first["p99_ms"] for first, second in zip(well, hung)])
    sent = spread([one["provider_arrived"] / one["provider_requests"] for one in hung])
    return {"rate": found["rate"], "deadline_ms": found["deadline_ms"], "rows": rows, "p99_ratio": ratio, "sent_ratio": sent}
