"""``python -m tests.soak``: long runs against what short tests cannot see; ``make soak``. Exits with 1 if anything failed.

SOAK_SECONDS of real time in all (300) are shared by five parts: every byte of a connection cut, stalled and flipped (G3), tunnels over
sockets with faults (FLT-30), random scenarios on simulated networks, handshakes without end (RES-32), cancellations with another seed (G4).
A failure says what to type to meet it again.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable

from tests.soak import cancels, every_byte, handshakes, scenarios, tunnels
from tests.soak.findings import Findings

Part = Callable[[float, int], Findings]
PARTS: dict[str, tuple[float, Part]] = {
    "tunnels": (0.26, tunnels.run),
    "handshakes": (0.1, handshakes.run),
    "every_byte": (0.3, every_byte.run),
    "scenarios": (0.17, scenarios.run),
    "cancels": (0.17, cancels.run),
}
"""Each part's share of the time, and the part."""


def main(arguments: list[str] | None = None) -> int:
    wanted = _parser().parse_args(arguments)
    found: list[Findings] = []
    if wanted.point or wanted.scenario is not None:
        found.append(every_byte.run_one(wanted.point) if wanted.point else scenarios.run_one(wanted.scenario))
    else:
        chosen = wanted.only or list(PARTS)
        whole = sum(PARTS[name][0] for name in chosen)
        print(f"soak: {wanted.seconds:g} s, seed {wanted.seed}, {', '.join(chosen)}", flush=True)
        for name in chosen:
            share, part = PARTS[name]
            found.append(part(wanted.seconds * share / whole, wanted.seed))
            print(found[-1].text(), flush=True)
    failures = sum(len(findings.failures) for findings in found)
    if wanted.point or wanted.scenario is not None:
        print(found[0].text())
    print(f"soak: {failures} failures" + (f"; the seed was {wanted.seed}" if failures else ""))
    return 1 if failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("SOAK_SECONDS", "300")), help="in all (default: 300)")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1_000_000, help="default: another one each time; it is printed")
    parser.add_argument("--only", action="append", choices=list(PARTS), help="these parts get all the time")
    parser.add_argument("--point", help="one point of G3 again, such as up:FLIP:1234")
    parser.add_argument("--scenario", type=int, help="one scenario again, by its seed")
    return parser


if __name__ == "__main__":
    sys.exit(main())
