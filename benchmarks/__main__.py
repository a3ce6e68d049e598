"""``python -m benchmarks [P1 P2 ...] [--quick] [--write]``: see docs/performance.rst."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import tempfile
import time
from pathlib import Path

from .compare import Run
from .machine import facts
from .peers.openssh_peer import SYSTEM_FOLDERS
from .processes import write_keys
from .report import PLOT, TABLE, line, write
from .results import OURS, Result
from .rows import ROWS

FULL = (7, 1.0, 150)
QUICK = (3, 0.25, 50)
"""Rounds, seconds for one contender in one round, idle connections held at once."""


def main() -> int:
    wanted = _arguments()
    machine = facts()
    for name, value in machine.items():
        print(f"{name}: {value}")
    peers = _peers_here()
    started = time.monotonic()
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        write_keys(Path(folder))
        rounds, seconds, held = QUICK if wanted.quick else FULL
        run = Run(folder=Path(folder), peers=peers, rounds=rounds, seconds=seconds, held=held)
        for row in wanted.rows or ROWS:
            for result in ROWS[row](run):
                results.append(result)
                print(line(result), flush=True)
    print(f"in {time.monotonic() - started:.0f} s")
    if wanted.write or not (wanted.quick or wanted.rows):
        write(results, machine)
        print(f"wrote {os.path.relpath(TABLE)} and {os.path.relpath(PLOT)}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="few and short rounds: a first look, not a result")
    parser.add_argument("--write", action="store_true", help="write docs/performance_table.txt and .svg; a whole run always does")
    wanted = parser.parse_args()
    for row in wanted.rows:
        if row not in ROWS:
            parser.error(f"there is no row {row}, only {', '.join(ROWS)}")
    return wanted


def _peers_here() -> frozenset[str]:
    here = {OURS, "raw_trio"}
    here |= {name for name in ("asyncssh", "paramiko") if importlib.util.find_spec(name) is not None}
    if all(shutil.which(name, path=SYSTEM_FOLDERS) for name in ("ssh", "sshd")):
        here.add("openssh")
    missing = {"asyncssh", "paramiko", "openssh"} - here
    if missing:
        print(f"not on this machine, so left out: {', '.join(sorted(missing))}")
    return frozenset(here)


if __name__ == "__main__":
    raise SystemExit(main())
