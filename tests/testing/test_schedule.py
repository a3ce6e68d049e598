"""The same seed, the same way through a program; and a failure says its seed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import trio
from trio.testing import MockClock

import trio_ssh
from trio_ssh import testing
from trio_ssh.testing.schedule import generator_of, seed_schedule

TASKS = 6


async def who_runs_when() -> list[int]:
    """Some tasks that are ready at once, again and again, and a number from each time one runs."""
    order: list[int] = []

    async def run(number: int) -> None:
        for _ in range(5):
            order.append(number)
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for number in range(TASKS):
            nursery.start_soon(run, number)
    return order


async def order_of(seed: int) -> list[int]:
    with testing.deterministic_schedule(seed):
        return await who_runs_when()


async def test_the_same_seed_gives_the_same_order():
    assert await order_of(1) == await order_of(1)
    assert len({tuple(await order_of(seed)) for seed in range(10)}) == 10


async def test_afterwards_trio_goes_on_as_before():
    """The generator is in the state in which it was; what the block has drawn leaves no trace."""
    seed_schedule(3)
    expected = [await who_runs_when(), await who_runs_when()]
    seed_schedule(3)
    found = [await who_runs_when()]
    with testing.deterministic_schedule(8):
        await who_runs_when()
    # Nothing has been drawn from the outer sequence meanwhile.
    assert [*found, await who_runs_when()] == expected


def test_around_a_run_of_its_own():
    def run(seed: int) -> list[int]:
        with testing.deterministic_schedule(seed):
            return trio.run(who_runs_when, clock=MockClock())

    assert run(5) == run(5) != run(6)


@pytest.mark.parametrize("module", [SimpleNamespace(), SimpleNamespace(_r=3, _ALLOW_DETERMINISTIC_SCHEDULING=False)])
def test_a_trio_that_keeps_it_elsewhere_is_told_apart(module):
    with pytest.raises(trio_ssh.LocalProtocolError, match="version of trio"):
        generator_of(module)


async def test_a_failure_carries_its_seed_once():
    with pytest.raises(ValueError, match="mine") as caught:
        with testing.replayable(17), testing.replayable(17):
            raise ValueError("mine")
    assert caught.value.__notes__ == ["seed=17"]


async def test_a_cancellation_carries_nothing(autojump_clock):
    with trio.move_on_after(1) as scope:
        with testing.replayable(17):
            await trio.sleep_forever()
    assert scope.cancelled_caught


def test_simulate_gives_the_result_and_takes_no_time():
    async def scenario(network: testing.SimulatedNetwork) -> tuple[int, float]:
        await trio.sleep(86_400)
        return network.seed, trio.current_time()

    seed, seconds = testing.simulate(scenario, seed=4)
    assert seed == 4
    assert seconds == pytest.approx(86_400)


def test_simulate_replays_a_failure():
    """A bug that shows under some seeds only: the note names one under which it shows again, in the same way."""

    async def racy(network: testing.SimulatedNetwork) -> None:
        order = await who_runs_when()
        if order.index(0) > order.index(1):
            raise RuntimeError(f"one came first, and then {order} {network.random.random()}")

    def fails(seed: int) -> RuntimeError | None:
        try:
            testing.simulate(racy, seed=seed)
        except RuntimeError as error:
            return error
        return None

    failures = {seed: error for seed in range(20) if (error := fails(seed))}
    assert 0 < len(failures) < 20
    for seed, error in failures.items():
        assert error.__notes__ == [f"seed={seed}"]
        assert str(fails(seed)) == str(error)


def test_a_simulation_that_hangs_fails():
    async def hang(network: testing.SimulatedNetwork) -> None:
        await trio.sleep_forever()

    with pytest.raises(trio.TooSlowError) as caught:
        testing.simulate(hang, seed=2, until_seconds=10)
    assert caught.value.__notes__ == ["seed=2"]
