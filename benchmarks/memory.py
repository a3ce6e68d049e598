"""P6: what an idle connection costs its server, as growth of the server processes' proportional set size (Linux)."""

from __future__ import annotations

import time

from . import procfs
from .compare import Run
from .processes import Pair
from .results import Goal, Result, Unit

FIRST = 10
"""Connections that are there already when counting begins: what is loaded or grown once is not the price of one more."""
SETTLE_SECONDS = 0.3


def memory_of_idle_connections(run: Run, peers: tuple[str, ...], goal: Goal) -> Result:
    """Each round has servers of its own: memory that was used once would be used again."""
    values: dict[str, list[float]] = {peer: [] for peer in peers if peer in run.peers}
    for _ in range(max(1, run.rounds // 2)):
        for peer, figures in values.items():
            figures.append(_kib_per_connection(run, peer))
    return Result(row="P6", work="memory of an idle connection, server side", unit=Unit.KIBIBYTES, values=values, goal=goal)


def _kib_per_connection(run: Run, peer: str) -> float:
    more = run.held if peer != "openssh" else run.held // 5
    with Pair(peer, run.setup()) as pair:
        server = pair.server.process.pid
        with pair.holding(first=FIRST, more=more) as next_step:
            before = _settled_kib(server)
            next_step()
            after = _settled_kib(server)
    return (after - before) / more


def _settled_kib(pid: int) -> int:
    time.sleep(SETTLE_SECONDS)
    return procfs.pss_kib(pid)
