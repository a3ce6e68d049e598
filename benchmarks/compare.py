"""Interleaved rounds: every contender in turn, again and again, each for about as long as the pace says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs

from .peers.common import Setup
from .processes import Pair
from .results import OURS, Goal, Result, Unit

AES = "aes128-gcm@openssh.com"
CHACHA = "chacha20-poly1305@openssh.com"
KEX = "curve25519-sha256"  # the newest one that all the peers have
PROBE_BYTES = 16 << 20


@attrs.frozen(kw_only=True)
class Run:
    """One run of the benchmarks: its pace, a folder with keys, and which peers are on this machine."""

    folder: Path
    peers: frozenset[str]
    rounds: int
    seconds: float
    """What one contender may take in one round."""
    held: int
    """Idle connections held at once (by OpenSSH, a process each: a fifth of it)."""

    def setup(self, cipher: str = AES, rekey_bytes: int | None = None) -> Setup:
        return Setup(folder=self.folder, cipher=cipher, kex=KEX, rekey_bytes=rekey_bytes)


@attrs.frozen(kw_only=True)
class Work:
    """One line to measure: `verb` with `order`, done `probe` times (or bytes) to find out how much fills a round."""

    row: str
    text: str
    verb: str
    unit: Unit
    probe: int
    order: Mapping[str, int] = attrs.field(factory=dict)
    goal: Goal | None = None
    ours: str = OURS

    @property
    def amount_name(self) -> str:
        return "size" if self.unit is Unit.MEGABYTES else "times"


@contextmanager
def pairs_of(run: Run, peers: Sequence[str], setup: Setup) -> Iterator[dict[str, Pair]]:
    """A pair of each peer that is here, started one after another and idle."""
    with ExitStack() as stack:
        yield {peer: stack.enter_context(Pair(peer, setup)) for peer in peers if peer in run.peers}


def compare(run: Run, work: Work, pairs: Mapping[str, Pair]) -> Result:
    """All `pairs` in turn. Whoever begins changes from round to round."""
    amounts = {name: _amount(run, work, pair) for name, pair in pairs.items()}
    values: dict[str, list[float]] = {name: [] for name in pairs}
    cpu: dict[str, list[float]] = {name: [] for name in pairs}
    names = list(pairs)
    for number in range(run.rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            pair, amount = pairs[name], amounts[name]
            cpu_before = pair.cpu_seconds()
            seconds = _do(work, pair, amount)
            values[name].append(work.unit.figure(amount, seconds))
            cpu[name].append((pair.cpu_seconds() - cpu_before) / amount)
    return Result(row=work.row, work=work.text, unit=work.unit, values=values, goal=work.goal, ours=work.ours, cpu=cpu)


def _do(work: Work, pair: Pair, amount: int) -> float:
    return pair.seconds(work.verb, **work.order, **{work.amount_name: amount})


def _amount(run: Run, work: Work, pair: Pair) -> int:
    """How much fills a round. The probe warms up both ends as well."""
    seconds = _do(work, pair, work.probe)
    smallest = max(1, work.order.get("at_once", 1))
    wanted = max(smallest, int(work.probe * run.seconds / seconds))
    return wanted - wanted % smallest
