"""The rows of the performance table: what each one measures, against whom, and what is to be reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from . import procfs
from .compare import AES, CHACHA, PROBE_BYTES, Run, Work, compare, pairs_of
from .memory import memory_of_idle_connections
from .processes import Pair
from .results import OURS, Goal, Result, Unit
from .starts import command_times, import_times

REKEY_BYTES = 64 << 20
PEERS = (OURS, "asyncssh", "paramiko", "openssh")
PEERS_WITH_CHACHA = (OURS, "asyncssh", "openssh")
THREE_TIMES = Goal(text=">= 3 x AsyncSSH", against="asyncssh", times=3)
DIRECTIONS = {"bulk_up": "up", "bulk_down": "down"}


def bulk(row: str, cipher: str, peers: tuple[str, ...]) -> Callable[[Run], Iterator[Result]]:
    def measure(run: Run) -> Iterator[Result]:
        with pairs_of(run, peers, run.setup(cipher)) as pairs:
            for verb, direction in DIRECTIONS.items():
                text = f"bulk {direction}, {cipher.partition('@')[0]}"
                work = Work(row=row, text=text, verb=verb, unit=Unit.MEGABYTES, probe=PROBE_BYTES, goal=THREE_TIMES)
                yield compare(run, work, pairs)

    return measure


def logins(run: Run) -> Iterator[Result]:
    goal = Goal(text="<= 1/3 of AsyncSSH", against="asyncssh", times=3)
    work = Work(row="P3", text="connect, publickey, exec, close", verb="login", unit=Unit.MILLISECONDS, probe=4, goal=goal)
    with pairs_of(run, PEERS, run.setup()) as pairs:
        yield compare(run, work, pairs)


def echoes(run: Run) -> Iterator[Result]:
    goal = Goal(text="<= 2.5 x raw Trio TCP", against="raw_trio", times=1 / 2.5)
    work = Work(row="P4", text="one byte there and back", verb="echo", unit=Unit.MICROSECONDS, probe=200, goal=goal)
    with pairs_of(run, (OURS, "raw_trio", *PEERS[1:]), run.setup()) as pairs:
        yield compare(run, work, pairs)


def commands(run: Run) -> Iterator[Result]:
    with pairs_of(run, PEERS, run.setup()) as pairs:
        for at_once, text in ((1, "one after another"), (8, "8 at once")):
            yield compare(
                run,
                Work(
                    row="P5",
                    text=f"exec and exit status, {text}",
                    verb="execute",
                    unit=Unit.TIMES,
                    probe=16,
                    order={"at_once": at_once},
                    goal=THREE_TIMES,
                ),
                pairs,
            )


def idle_memory(run: Run) -> Iterator[Result]:
    if procfs.shows_memory():
        yield memory_of_idle_connections(run, PEERS, Goal(text="<= AsyncSSH", against="asyncssh", times=1))


def rekeying(run: Run) -> Iterator[Result]:
    """Against ourselves: the same without a rekey."""
    rekeying, plain = "trio_ssh, rekeying", OURS
    goal = Goal(text=">= 0.95 of P1", against=plain, times=0.95)
    setup = run.setup(AES, REKEY_BYTES)
    with Pair(OURS, setup) as ours, Pair(OURS, attrs.evolve(setup, rekey_bytes=None)) as without:
        for verb, direction in DIRECTIONS.items():
            work = Work(
                row="P11",
                text=f"bulk {direction}, a rekey every 64 MiB",
                verb=verb,
                unit=Unit.MEGABYTES,
                probe=PROBE_BYTES,
                goal=goal,
                ours=rekeying,
            )
            yield compare(run, work, {rekeying: ours, plain: without})


def starts(run: Run) -> Iterator[Result]:
    yield from import_times(run)
    yield from command_times(run)


ROWS: dict[str, Callable[[Run], Iterator[Result]]] = {
    "P1": bulk("P1", AES, PEERS),
    "P2": bulk("P2", CHACHA, PEERS_WITH_CHACHA),
    "P3": logins,
    "P4": echoes,
    "P5": commands,
    "P6": idle_memory,
    "P11": rekeying,
    "P13": starts,
}
