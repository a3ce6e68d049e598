"""Random scenarios on simulated networks: links, limits, faults and work are drawn from a seed, and a seed that fails does so again.

A scenario without a fault must do all its work. In one with a fault, a cut, a stall, a flipped bit, whatever does not succeed must say so
with a typed error, in time; what was delivered must be right. Both ends are monitored (`trio_ssh.testing.open_connection_pair`).
"""

from __future__ import annotations

import contextlib
import random
from collections import Counter

import attrs
import trio
from trio.testing import wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.soak.findings import Deadline, Findings, reason
from trio_ssh.testing import ConnectionPair, InvariantBroken, Link, SimulatedNetwork, open_connection_pair, simulate

TYPED = (trio_ssh.SSHError, trio.BrokenResourceError, trio.ClosedResourceError)
VIRTUAL_SECONDS_MAX = 100_000
"""More than any scenario may take, one with a rekey for every other packet over the slowest link included."""
CALLER_SECONDS = 1500
"""In a scenario with a fault: a client's login has its caller's deadline only."""


@attrs.frozen(kw_only=True)
class Scenario:
    """What a seed gives."""

    up: Link
    down: Link
    client_limits: trio_ssh.Limits
    server_limits: trio_ssh.Limits
    sizes: tuple[int, ...]
    """Bytes of each command's input, or output."""
    fault: str = "none"

    @classmethod
    def draw(cls, chance: random.Random) -> Scenario:
        fault = chance.choice(["none", "none", "cut", "stall", "flip"])
        links = [_draw_link(chance), _draw_link(chance)]
        victim = chance.randrange(2)
        links[victim] = _with_fault(links[victim], fault, chance)
        return cls(
            up=links[0],
            down=links[1],
            client_limits=_draw_limits(chance),
            server_limits=_draw_limits(chance),
            sizes=tuple(chance.choice([0, 1, 100, 5_000, 60_000, 300_000]) for _ in range(chance.randint(1, 5))),
            fault=fault,
        )


def _draw_link(chance: random.Random) -> Link:
    latency_seconds = chance.choice([0, 0, 0.001, 0.1, 1.0])
    jitter_seconds = chance.choice([0, 0, 0.05])
    small_buffers = [] if latency_seconds + jitter_seconds > 0.04 else [0, 100, 4096]  # with time on the way they would make it dead slow
    return Link(
        latency_seconds=latency_seconds,
        jitter_seconds=jitter_seconds,
        bytes_per_second=chance.choice([None, None, None, 20_000, 1_000_000]),
        buffer_bytes=chance.choice([*small_buffers, 65536, 256 * 1024]),
        segment_bytes=chance.choice([None, None, range(1, 2000), range(1, 100_000)]),
        write_bytes=chance.choice([None, None, range(1, 2000), range(1, 100_000)]),
    )


def _with_fault(link: Link, fault: str, chance: random.Random) -> Link:
    at = chance.choice([range(1500), range(10_000), range(300_000)])
    if fault == "cut":
        return attrs.evolve(link, cut_at=at, cut_cleanly=chance.random() < 0.5)
    if fault == "stall":
        return attrs.evolve(link, stall_at=at, stuck=chance.random() < 0.5)
    return attrs.evolve(link, flip_at=at, flip_mask=1 << chance.randrange(8)) if fault == "flip" else link


def _draw_limits(chance: random.Random) -> trio_ssh.Limits:
    window_bytes = chance.choice([500, 5000, 100_000, 2 << 20])
    return trio_ssh.Limits(
        rekey_bytes=chance.choice([None, 16, 5000, 100_000]),
        rekey_packets=chance.choice([2**31, 2**31, 3, 50]),
        rekey_seconds=chance.choice([3600, 3600, 1, 10]),
        window_bytes=window_bytes,
        channel_packet_bytes=min(window_bytes, chance.choice([300, 4096, 32768])),
        out_buffer_bytes=chance.choice([500, 20_000, 512 * 1024]),
        send_quantum_bytes=chance.choice([1000, 64 * 1024]),
        keepalive_seconds=chance.choice([5, 20]),
        keepalive_misses=2,
        # Links above are slow: these are not what is looked for here.
        identification_seconds=100,
        kex_seconds=200,
        login_seconds=400,
        rekey_answer_seconds=400,
    )


async def play(network: SimulatedNetwork) -> str:
    """The network's seed is all there is to know. Gives the fault, and whether the work was done all the same."""
    chance = network.random
    plan = Scenario.draw(chance)
    done: list[bool] = []
    try:
        with trio.move_on_after(CALLER_SECONDS if plan.fault != "none" else VIRTUAL_SECONDS_MAX):
            async with open_connection_pair(
                pairs.commands,
                network=network,
                streams=network.stream_pair(plan.up, plan.down),
                limits=(plan.client_limits, plan.server_limits),
                leaves_channels=plan.fault != "none",
                hang_seconds=VIRTUAL_SECONDS_MAX,
            ) as ends:
                await _work(ends.client, plan, chance, done)
                if plan.fault == "none":
                    await _settle(ends)
    except TYPED:
        if plan.fault == "none":
            raise
    assert plan.fault != "none" or len(done) == len(plan.sizes) + 2, "it did not come to an end"
    return f"{plan.fault}, {'all' if len(done) == len(plan.sizes) + 2 else 'some'} done"


async def _settle(ends: ConnectionPair) -> None:
    """Until the last CLOSE has arrived and no rekey is under way; what is still owed then is found at the end of the block."""
    for _ in range(1000):
        await wait_all_tasks_blocked()
        with contextlib.suppress(InvariantBroken):
            ends.watch.check_settled()
            if ends.channels_left() == (0, 0):
                return
        await trio.sleep(0.05)


async def _work(client: trio_ssh.Client, plan: Scenario, chance: random.Random, done: list[bool]) -> None:
    async def attempt(what) -> None:
        try:
            await what()
            done.append(True)
        except TYPED:
            if plan.fault == "none":
                raise

    async def run(size: int, verb: str, seed: int) -> None:
        data = pairs.pattern(size, str(seed))
        if verb == "echo":
            assert (await client.run_process("echo", input=data)).stdout == data
        elif verb == "hash":
            assert (await client.run_process("hash", input=data)).stdout.decode() == pairs.sha256(data)
        elif verb == "source":
            assert (await client.run_process(f"source {size}")).stdout == pairs.pattern(size)
        else:
            with trio.move_on_after(chance.random() * 3):
                assert (await client.run_process("echo", input=data)).stdout == data

    async def rekeys() -> None:
        for _ in range(3):
            await trio.sleep(chance.random())
            await client.rekey()

    async def pings() -> None:
        for _ in range(3):
            await trio.sleep(chance.random())
            with trio.move_on_after(chance.choice([0.01, 1000])):
                await client.ping()

    async with trio.open_nursery() as nursery:
        for seed, size in enumerate(plan.sizes):
            verb = chance.choice(["echo", "hash", "source", "cancelled"])
            nursery.start_soon(attempt, lambda size=size, verb=verb, seed=seed: run(size, verb, seed))
        nursery.start_soon(attempt, rekeys)
        nursery.start_soon(attempt, pings)


def run(seconds: float, seed: int) -> Findings:
    findings = Findings("scenarios on simulated networks")
    deadline = Deadline(seconds)
    kinds: Counter[str] = Counter()
    played = 0
    while not deadline.is_over and not findings.hopeless:
        findings_of_one = run_one(seed + played)
        for failure in findings_of_one.failures:
            findings.failed(failure)
        kinds[str(findings_of_one.facts.get("fault"))] += not findings_of_one.failures
        played += 1
    findings.facts["scenarios"] = f"{played} (seeds {seed} to {seed + played - 1}), {deadline.passed / max(played, 1) * 1000:.0f} ms each"
    findings.facts["faults"] = ", ".join(f"{name}: {count}" for name, count in sorted(kinds.items()))
    return findings


def run_one(seed: int) -> Findings:
    """``--scenario 1234``: that one again."""
    findings = Findings(f"scenario {seed}")
    try:
        findings.facts["fault"] = simulate(play, seed=seed, until_seconds=2 * VIRTUAL_SECONDS_MAX)
    except Exception as error:
        findings.failed(f"to see it again: python -m tests.soak --scenario {seed}: {reason(error)}")
    return findings
