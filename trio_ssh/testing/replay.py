"""A failure under a seed says the seed, and the same seed fails in the same way again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import trio
from trio.testing import MockClock

from .network import SimulatedNetwork
from .schedule import deterministic_schedule

T = TypeVar("T")


@contextmanager
def replayable(seed: int) -> Iterator[None]:
    """Whatever leaves the block as an exception carries the note ``seed=...``, once; tasks take the way that the seed gives them.

    For tests that have a runner of their own, such as pytest-trio's::

        @pytest.mark.parametrize("seed", range(100))
        async def test_it(autojump_clock, seed):
            with replayable(seed):
                network = SimulatedNetwork(seed)
                ...
    """
    try:
        with deterministic_schedule(seed):
            yield
    except trio.Cancelled:
        raise
    except BaseException as error:
        note = f"seed={seed}"
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)
        raise


def simulate(scenario: Callable[[SimulatedNetwork], Awaitable[T]], *, seed: int = 0, until_seconds: float = 1e6) -> T:
    """Run ``await scenario(network)`` on a clock of its own that jumps from event to event, and give its result.

    Network and schedule depend on `seed` alone, so that a failure, which carries the note ``seed=...``, comes again with the same seed.
    A scenario still running after `until_seconds` virtual seconds hangs: `trio.TooSlowError`. Scenarios must not wait for threads: the
    clock does not see them and jumps ahead.
    """

    async def run() -> T:
        with trio.fail_after(until_seconds):
            return await scenario(SimulatedNetwork(seed))

    with replayable(seed):
        return trio.run(run, clock=MockClock(autojump_threshold=0))
