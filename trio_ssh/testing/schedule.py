"""The order in which trio runs tasks that are ready at once, drawn from a seed: the one place that reaches into trio for it.

Trio shuffles each batch of ready tasks, so that nobody relies on an order. Its generator has no public name. With
``trio._core._run._r`` seeded and ``_ALLOW_DETERMINISTIC_SCHEDULING`` set, which is what trio does for Hypothesis, a run depends on the
seed alone: each batch is sorted by the tasks' age before it is shuffled, so that nothing depends on the addresses of objects.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

from trio._core import _run

from ..errors import LocalProtocolError

_FLAG = "_ALLOW_DETERMINISTIC_SCHEDULING"


def generator_of(module: object) -> random.Random:
    """The scheduler's generator, out of trio's module. Raises `LocalProtocolError` when this version of trio keeps it elsewhere."""
    found = getattr(module, "_r", None)
    if not isinstance(found, random.Random) or not isinstance(getattr(module, _FLAG, None), bool):
        raise LocalProtocolError("this version of trio keeps its scheduler's random generator elsewhere: trio_ssh.testing needs an update")
    return found


def seed_schedule(seed: int) -> None:
    """From here on ready tasks run in an order that depends on `seed`, until somebody seeds anew."""
    generator_of(_run).seed(seed)
    setattr(_run, _FLAG, True)


@contextmanager
def deterministic_schedule(seed: int) -> Iterator[None]:
    """``with deterministic_schedule(7):`` tasks that are ready at once run in an order that depends on `seed` alone.

    Around `trio.run` or inside of it; to take the same way through a program twice, enter it at the same place of both runs. Afterwards
    trio shuffles as it did before. Raises `LocalProtocolError` when this version of trio cannot be told.
    """
    generator = generator_of(_run)
    state, flag = generator.getstate(), getattr(_run, _FLAG)
    seed_schedule(seed)
    try:
        yield
    finally:
        generator.setstate(state)
        setattr(_run, _FLAG, flag)
