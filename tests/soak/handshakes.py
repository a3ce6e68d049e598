"""Many connections one after another in one process, each with a command: no growth, no task, no connection left (hardening RES-32)."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from tests import pairs
from tests.soak.findings import Deadline, Findings, Memory, connections_alive, objects_alive, reason

SAMPLES = 60
WARM = 20
"""Handshakes before the first look: what is made at the first use, and kept, is no leak."""
SLOPE_MAX = 256
"""Bytes a handshake, over the second half: what one left behind would cost is a hundred times that."""
GROWTH_MAX = 1 << 20
"""Bytes: less than that in all is the allocator's own doing."""


def run(seconds: float, seed: int) -> Findings:
    findings = Findings("handshakes (RES-32)")
    deadline = Deadline(seconds)
    memory = Memory()
    done = objects = 0

    async def main() -> None:
        nonlocal done, objects
        tasks = trio.lowlevel.current_statistics().tasks_living
        while not deadline.is_over and not findings.hopeless:
            try:
                async with pairs.connected() as ends:
                    if done % 3 == seed % 3:
                        await pairs.check_works(ends.client)
            except Exception as error:
                findings.failed(f"handshake {done}: {reason(error)}")
            done += 1
            if done == WARM:
                objects = objects_alive()
            if deadline.passed > len(memory.samples) * seconds / SAMPLES:
                memory.sample(done)
        left = trio.lowlevel.current_statistics().tasks_living - tasks
        if left:
            findings.failed(f"{left} tasks were left")

    trio.run(main, clock=MockClock(autojump_threshold=0))
    findings.facts["handshakes"] = f"{done}, {deadline.passed / max(done, 1) * 1000:.2f} ms each, both ends"
    findings.facts["resident memory"] = f"{memory.quarters}; {memory.slope:+.1f} bytes a handshake over the second half"
    if done > WARM:
        objects = objects_alive() - objects
        findings.facts["objects left over"] = objects
        if objects > 1000 + done / 20:
            findings.failed(f"{objects} objects were left over")
    if memory.slope > SLOPE_MAX and memory.growth > GROWTH_MAX:
        findings.failed(f"memory grows by {memory.slope:.0f} bytes a handshake")
    if alive := connections_alive():
        findings.failed(f"{alive} connections are still referred to")
    return findings
