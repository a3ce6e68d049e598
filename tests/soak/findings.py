"""What a part of the soak gives back, and how memory is watched."""

from __future__ import annotations

import gc
import os
import sys
import time
from pathlib import Path

import attrs

from trio_ssh.connection.connection import Connection

FAILURES_MAX = 5
"""More of one part tell nothing new: it stops."""


@attrs.define
class Findings:
    """`facts` are printed in their order; any of `failures` makes the program exit with 1."""

    name: str
    facts: dict[str, object] = attrs.field(factory=dict)
    failures: list[str] = attrs.field(factory=list)

    def failed(self, what: str) -> None:
        """Said at once, for who watches, and again at the end."""
        self.failures.append(what)
        print(f"FAILED ({self.name}): {what}", file=sys.stderr, flush=True)

    @property
    def hopeless(self) -> bool:
        return len(self.failures) >= FAILURES_MAX

    def text(self) -> str:
        """One paragraph for the report."""
        facts = "\n".join(f"    {name}: {value}" for name, value in self.facts.items())
        failures = "\n".join(f"    FAILED: {failure}" for failure in self.failures)
        return f"{self.name}: {'FAILED' if self.failures else 'ok'}\n" + "\n".join(part for part in (facts, failures) if part)


def reason(error: BaseException) -> str:
    """An exception in one line, with its notes, which say how to meet it again."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    inner = f" [{'; '.join(map(reason, error.exceptions))}]" if isinstance(error, BaseExceptionGroup) else ""
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    return f"{type(error).__name__}: {error}{inner}{notes}"


class Deadline:
    """`is_over` after so many real seconds, whatever trio's clock says."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._started = time.monotonic()

    @property
    def passed(self) -> float:
        return time.monotonic() - self._started

    @property
    def is_over(self) -> bool:
        return self.passed >= self.seconds


def resident_bytes() -> int:
    """Of this process, once what can be freed is; 0 where /proc is missing."""
    gc.collect()
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


def connections_alive() -> int:
    """`Connection` objects that something still refers to."""
    gc.collect()
    return sum(isinstance(thing, Connection) for thing in gc.get_objects())


def objects_alive() -> int:
    """Of any kind that may hold others: where resident memory is the allocator's affair, these are ours."""
    gc.collect()
    return len(gc.get_objects())


@attrs.define
class Memory:
    """Resident bytes over something that counts up: handshakes, seconds."""

    samples: list[tuple[float, int]] = attrs.field(factory=list)

    def sample(self, at: float) -> None:
        self.samples.append((at, resident_bytes()))

    @property
    def slope(self) -> float:
        """Bytes for one more of it, by least squares over the second half; the first one is warming up."""
        samples = self.samples[len(self.samples) // 2 :]
        if len(samples) < 3:
            return 0.0
        mean_at = sum(at for at, _ in samples) / len(samples)
        mean_size = sum(size for _, size in samples) / len(samples)
        spread = sum((at - mean_at) ** 2 for at, _ in samples)
        return sum((at - mean_at) * (size - mean_size) for at, size in samples) / spread if spread else 0.0

    @property
    def growth(self) -> int:
        """Bytes from the middle to the end: the mean of the last three samples less that of the three around the middle."""
        sizes = [size for _, size in self.samples[len(self.samples) // 2 :]]
        return sum(sizes[-3:]) // 3 - sum(sizes[:3]) // 3 if len(sizes) >= 6 else 0

    @property
    def quarters(self) -> str:
        """Resident MiB at a quarter, a half, three quarters and the end."""
        sizes = [size for _, size in self.samples]
        marks = [sizes[(len(sizes) - 1) * quarter // 4] for quarter in (1, 2, 3, 4)] if sizes else []
        return ", ".join(f"{size / (1 << 20):.1f}" for size in marks) + " MiB at the quarters"
