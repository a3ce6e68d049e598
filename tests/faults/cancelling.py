"""Cancel an operation at its n-th step, for n = 1, 2, 3 …: a fault injected as a loop, so that no checkpoint is forgotten.

A step is one turn of any task of the run while the operation is under way, not of the operation's own task only: the same checkpoint
is hit before and after each thing that reader, writer and supervisor do meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

import attrs
import trio

from trio_ssh.testing.schedule import seed_schedule

SEED = int(os.environ.get("TRIO_SSH_TEST_SEED", "0"))
"""Another one makes trio's scheduler take other ways; the same one always the same."""

STEPS_MAX = 3000
"""No operation here takes more: one that does never ends."""


@attrs.define(eq=False, slots=False)
class CancelAtStep(trio.abc.Instrument):
    scope: trio.CancelScope
    left: int

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.left -= 1
        if self.left == 0:
            self.scope.cancel()


async def cancel_at(step: int, operation: Callable[[], Awaitable[object]]) -> bool:
    """Run `operation`, cancelled at that step. True: it was hit; False: it was over before."""
    with trio.CancelScope() as scope:
        instrument = CancelAtStep(scope, step)
        trio.lowlevel.add_instrument(instrument)
        try:
            await operation()
        finally:
            trio.lowlevel.remove_instrument(instrument)
    return instrument.left <= 0


def schedule(step: int) -> None:
    """Trio shuffles the tasks that are ready: from here on as it did the last time at that step."""
    seed_schedule(SEED * 1_000_003 + step)


async def cancel_everywhere(operation: Callable[[], Awaitable[object]], check: Callable[[], Awaitable[object]]) -> int:
    """Cancel `operation` at each of its steps, and `check` after each time. Gives the number of steps."""
    for step in range(1, STEPS_MAX):
        schedule(step)
        hit = await cancel_at(step, operation)
        await check()
        if not hit:
            assert step > 2, "the operation has no steps to be cancelled at"
            return step
    raise AssertionError(f"the operation did not end within {STEPS_MAX} steps")
