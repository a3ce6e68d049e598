"""Generator G3 in full: each fault at each byte of each direction, in an order that the seed gives, until the time is over."""

from __future__ import annotations

from collections import Counter
from math import gcd

import trio
from trio.testing import MockClock

from tests.faults.points import Fault, Point, Recording, meet, record
from tests.soak.findings import Deadline, Findings, reason


def nth_point(recording: Recording, number: int) -> Point:
    """Of all of them, numbered through."""
    faults = list(Fault)
    for direction in ("up", "down"):
        here = recording.sizes[direction] * len(faults)
        if number < here:
            return Point(direction, faults[number % len(faults)], number // len(faults))
        number -= here
    raise ValueError("there are not so many points")


def count_points(recording: Recording) -> int:
    return sum(recording.sizes.values()) * len(Fault)


def stride(total: int, seed: int) -> int:
    """A step that comes to every point once before it comes to the first one again; near the golden section, so that it spreads."""
    step = int(total * 0.618) + seed
    while gcd(step, total) != 1:
        step += 1
    return step


def run(seconds: float, seed: int) -> Findings:
    findings = Findings("every byte (G3)")
    deadline = Deadline(seconds)
    outcomes: Counter[str] = Counter()

    async def main() -> None:
        recording = await record()
        total = count_points(recording)
        step, number, done = stride(total, seed), seed % total, 0
        while done < total and not deadline.is_over and not findings.hopeless:
            point = nth_point(recording, number)
            try:
                outcomes[await meet(point, recording)] += 1
            except Exception as error:  # whatever it is, the next point is another matter
                findings.failed(f"{point}: {reason(error)}")
            number, done = (number + step) % total, done + 1
        findings.facts["points"] = f"{done} of {total} ({done / total:.1%}), {deadline.passed / max(done, 1) * 1000:.1f} ms each"
        findings.facts["ended as"] = ", ".join(f"{name} {count}" for name, count in outcomes.most_common())

    trio.run(main, clock=MockClock(autojump_threshold=0))
    return findings


def run_one(text: str) -> Findings:
    """``--point up:FLIP:1234``: that one again."""
    findings = Findings(f"point {text}")

    async def main() -> None:
        recording = await record()
        try:
            findings.facts["ended as"] = await meet(Point.parse(text), recording)
        except Exception as error:
            findings.failed(reason(error))

    trio.run(main, clock=MockClock(autojump_threshold=0))
    return findings
