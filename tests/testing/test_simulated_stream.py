"""One end of a simulated connection: a proper trio stream, and each fault of a `Link`."""

from __future__ import annotations

import math
from typing import Any

import pytest
import trio
from trio.testing import check_half_closeable_stream, wait_all_tasks_blocked

import trio_ssh
from trio_ssh.testing import Link, SimulatedNetwork, SimulatedStream

DATA = bytes(range(256)) * 40

LINKS = {
    "plain": Link(),
    "latency": Link(latency_seconds=0.1),
    "jitter": Link(jitter_seconds=1, segment_bytes=range(1, 5000)),
    "slow": Link(bytes_per_second=10_000, buffer_bytes=50_000),
    "narrow": Link(buffer_bytes=1000),
    "small writes": Link(write_bytes=range(1, 1000), buffer_bytes=9000),
    "lockstep": Link(buffer_bytes=0),
    "endless": Link(buffer_bytes=math.inf),
}

ONE_BYTE = Link(segment_bytes=1, write_bytes=1, buffer_bytes=1)


def pair(up: Link | None = None, down: Link | None = None, seed: int = 0) -> tuple[SimulatedStream, SimulatedStream]:
    return SimulatedNetwork(seed, record=True).stream_pair(up, down)


async def read_all(stream: SimulatedStream) -> bytes:
    return b"".join([chunk async for chunk in stream])


async def send_and_end(stream: SimulatedStream, data: bytes = DATA) -> None:
    await stream.send_all(data)
    await stream.send_eof()


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS.keys())
async def test_it_is_a_half_closeable_stream(autojump_clock, link):
    async def make() -> tuple[SimulatedStream, SimulatedStream]:
        return pair(link, link)

    async def make_clogged() -> tuple[SimulatedStream, SimulatedStream]:
        one, other = pair(link, link)
        for stream in (one, other):
            with trio.move_on_after(1000):
                while True:
                    await stream.send_all(bytes(10_000))
        return one, other

    await check_half_closeable_stream(make, make_clogged if 0 < link.buffer_bytes < math.inf else None)


@pytest.mark.parametrize("link", [*LINKS.values(), ONE_BYTE], ids=[*LINKS.keys(), "one byte"])
async def test_bytes_come_whole_and_in_order_both_ways(autojump_clock, link):
    one, other = pair(link, link)
    found: dict[str, bytes] = {}

    async def read(stream: SimulatedStream) -> None:
        found[stream.local] = await read_all(stream)

    async with trio.open_nursery() as nursery:
        for stream in (one, other):
            nursery.start_soon(send_and_end, stream)
            nursery.start_soon(read, stream)
    assert found == {"client": DATA, "server": DATA}
    assert one.recorded == other.recorded == DATA
    assert (one.bytes_sent, one.bytes_received) == (len(DATA), len(DATA))


# -- time ------------------------------------------------------------------------------------------------------------------------------


async def arrivals(stream: SimulatedStream) -> list[tuple[float, int]]:
    found = []
    while data := await stream.receive_some():
        found.append((round(trio.current_time(), 6), len(data)))
    return found


async def test_latency_is_the_way_of_each_byte(autojump_clock):
    one, other = pair(Link(latency_seconds=0.25))
    async with trio.open_nursery() as nursery:

        async def send() -> None:
            await one.send_all(b"a" * 10)
            await trio.sleep(0.1)
            await one.send_all(b"b" * 20)
            await one.aclose()

        nursery.start_soon(send)
        assert await arrivals(other) == [(0.25, 10), (0.35, 20)]
    assert trio.current_time() == pytest.approx(0.35)


async def test_the_end_of_the_stream_takes_its_time_too(autojump_clock):
    one, other = pair(Link(latency_seconds=3), Link(latency_seconds=2))
    await one.aclose()
    assert await other.receive_some() == b""
    assert trio.current_time() == pytest.approx(3)
    with pytest.raises(trio.BrokenResourceError) as caught:
        await other.send_all(b"x")
    assert isinstance(caught.value.__cause__, BrokenPipeError)


async def test_bandwidth(autojump_clock):
    """Frames of 1460 bytes, one behind the other."""
    one, other = pair(Link(bytes_per_second=1000, latency_seconds=1))
    await one.send_all(bytes(3000))
    await one.aclose()
    assert await arrivals(other) == [(2.46, 1460), (3.92, 1460), (4.0, 80)]


async def test_jitter_keeps_the_order_and_depends_on_the_seed(autojump_clock):
    async def times(seed: int) -> list[float]:
        one, other = pair(Link(jitter_seconds=5), seed=seed)
        started = trio.current_time()
        await one.send_all(bytes(20 * 1460))
        await one.aclose()
        found = [round(seconds - started, 3) for seconds, _ in await arrivals(other)]
        assert found == sorted(found)
        assert found[-1] <= 5
        return found

    assert await times(1) == await times(1)
    assert await times(1) != await times(2)


# -- sizes -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "allowed"), [(1, {1}), (1000, {1000, 240}), (range(3, 6), {3, 4, 5, 1, 2})])
async def test_segments(autojump_clock, size, allowed):
    one, other = pair(Link(segment_bytes=size))
    await one.send_all(DATA)
    await one.aclose()
    sizes = [size for _, size in await arrivals(other)]
    assert set(sizes) <= allowed
    assert set(sizes[:-1]) == set(size if isinstance(size, range) else [size])
    assert sum(sizes) == len(DATA)


async def test_a_full_buffer_blocks_the_sender(autojump_clock):
    one, other = pair(Link(buffer_bytes=100))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.send_all, bytes(250))
        await wait_all_tasks_blocked()
        assert one.bytes_sent == 100
        assert len(await other.receive_some(30)) == 30
        await wait_all_tasks_blocked()
        assert one.bytes_sent == 130
        assert len(await other.receive_some(200)) == 100
        assert len(await other.receive_some(200)) == 100
        assert len(await other.receive_some(200)) == 20


async def test_lockstep_waits_until_all_is_taken(autojump_clock):
    one, other = pair(Link(buffer_bytes=0))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.send_all, bytes(250))
        assert len(await other.receive_some(249)) == 249
        await wait_all_tasks_blocked()
        assert nursery.child_tasks
        assert len(await other.receive_some()) == 1


@pytest.mark.parametrize("accepted", [0, 1, 7, 99])
async def test_a_cancelled_send_has_sent_a_beginning(autojump_clock, accepted):
    one, other = pair(Link(buffer_bytes=max(1, accepted)))
    if not accepted:
        await one.send_all(b"x")
    with trio.move_on_after(1) as scope:
        await one.send_all(DATA)
    assert scope.cancelled_caught
    await one.aclose()
    assert await read_all(other) == (DATA[:accepted] or b"x")


async def test_small_writes_let_others_run_in_between(autojump_clock):
    """FLT-09's stream: it takes one byte per call; cancelled in between, the rest is never sent."""
    one, _ = pair(Link(write_bytes=1))
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.send_all, bytes(1000))
            while one.bytes_sent < 10:
                await trio.lowlevel.checkpoint()
            scope.cancel()
    assert 10 <= one.bytes_sent < 15


# -- ends ------------------------------------------------------------------------------------------------------------------------------


async def expect_reset(function: Any, *arguments: object, cause: type[OSError] = ConnectionResetError) -> None:
    with pytest.raises(trio.BrokenResourceError) as caught:
        await function(*arguments)
    assert type(caught.value.__cause__) is cause


async def test_cut_behind_byte_k(autojump_clock):
    """The bytes before arrive; then both ends are told, both ways."""
    one, other = pair(Link(cut_at=100, latency_seconds=2))
    await other.send_all(b"down")
    assert await one.receive_some() == b"down"
    await one.send_all(bytes(100))
    await expect_reset(one.send_all, b"x")
    await expect_reset(one.send_all, b"x")
    await expect_reset(one.receive_some)
    assert trio.current_time() == 0
    await other.send_all(b"does not know yet")
    await trio.sleep(1)
    await expect_reset(one.receive_some)
    assert len(await other.receive_some()) == 100
    await expect_reset(other.receive_some)
    await expect_reset(other.send_all, b"x")
    assert trio.current_time() == pytest.approx(2)
    assert one.recorded == bytes(100)


async def test_a_cut_in_the_middle_of_one_send(autojump_clock):
    one, other = pair(Link(cut_at=7))
    await expect_reset(one.send_all, b"0123456789")
    assert await other.receive_some() == b"0123456"
    await expect_reset(other.receive_some)
    assert one.bytes_sent == 10


async def test_a_clean_cut_is_an_end_to_both(autojump_clock):
    one, other = pair(Link(cut_at=7, cut_cleanly=True))
    await expect_reset(one.send_all, b"0123456789", cause=BrokenPipeError)
    assert await read_all(other) == b"0123456"
    assert await read_all(one) == b""
    await expect_reset(other.send_all, b"x", cause=BrokenPipeError)


@pytest.mark.parametrize("cleanly", [False, True])
async def test_cut_at_any_moment_wakes_who_waits(autojump_clock, cleanly):
    one, other = pair(Link(buffer_bytes=10, latency_seconds=5))
    woken: list[str] = []

    async def wait(name: str, function: Any, *arguments: object) -> None:
        try:
            woken.append(f"{name} {await function(*arguments)!r}")
        except trio.BrokenResourceError as error:
            woken.append(f"{name} {type(error.__cause__).__name__}")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait, "send", one.send_all, bytes(100))
        nursery.start_soon(wait, "receive", one.receive_some)
        nursery.start_soon(wait, "other", other.receive_some)
        await trio.sleep(1)
        other.cut(cleanly=cleanly)
    assert trio.current_time() == 1
    if cleanly:
        assert sorted(woken) == ["other b''", "receive b''", "send BrokenPipeError"]
    else:
        assert sorted(woken) == [f"{name} ConnectionResetError" for name in ("other", "receive", "send")]


async def test_what_has_arrived_before_a_reset_is_read_first(autojump_clock):
    one, other = pair()
    await one.send_all(b"in time")
    one.cut()
    assert await other.receive_some() == b"in time"
    await expect_reset(other.receive_some)


async def test_closing_wakes_who_waits_at_the_same_end(autojump_clock):
    one, _ = pair(Link(buffer_bytes=10))

    async def closed(function: Any, *arguments: object) -> None:
        with pytest.raises(trio.ClosedResourceError):
            await function(*arguments)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(closed, one.send_all, bytes(100))
        nursery.start_soon(closed, one.receive_some)
        await wait_all_tasks_blocked()
        await one.aclose()
    await closed(one.send_eof)
    assert one.closed


async def test_a_sender_blocked_by_a_full_buffer_learns_that_the_other_end_closed(autojump_clock):
    one, other = pair(Link(buffer_bytes=10), Link(latency_seconds=4))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: expect_reset(one.send_all, bytes(100), cause=BrokenPipeError))
        await trio.sleep(1)
        await other.aclose()
    assert trio.current_time() == pytest.approx(5)


# -- silence ---------------------------------------------------------------------------------------------------------------------------


async def nothing_comes(stream: SimulatedStream, seconds: float = 10_000) -> None:
    with trio.move_on_after(seconds) as scope:
        await stream.receive_some()
    assert scope.cancelled_caught


@pytest.mark.parametrize("buffer_bytes", [50, math.inf])
async def test_stall_behind_byte_k(autojump_clock, buffer_bytes):
    """Half-open: the sender goes on until the buffer is full, its end does not arrive, the other direction works."""
    one, other = pair(Link(stall_at=100, buffer_bytes=buffer_bytes))
    for _ in range(5):
        await one.send_all(bytes(20))
        assert len(await other.receive_some()) == 20
    with trio.move_on_after(1) as scope:
        await one.send_all(bytes(1000))
    assert scope.cancelled_caught is (buffer_bytes == 50)
    assert one.bytes_sent == 100 + (50 if buffer_bytes == 50 else 1000)
    await other.send_all(b"hello?")
    assert await one.receive_some() == b"hello?"
    await one.aclose()
    await nothing_comes(other)
    await other.send_all(b"still open, as far as I know")


async def test_stuck_blocks_at_once(autojump_clock):
    one, other = pair(Link(stall_at=5, stuck=True))
    with trio.move_on_after(1) as scope:
        await one.send_all(DATA)
    assert scope.cancelled_caught
    assert one.bytes_sent == 5
    assert await other.receive_some() == DATA[:5]
    await nothing_comes(other)


async def test_stall_and_resume_at_any_moment(autojump_clock):
    """What was on its way when the stall began arrives too late, but it arrives."""
    one, other = pair(Link(latency_seconds=2))
    await one.send_all(b"abc")
    await trio.sleep(1)
    one.stall()
    await one.send_all(b"def")
    await one.aclose()
    await nothing_comes(other, 7)
    one.resume()
    assert await read_all(other) == b"abcdef"
    assert trio.current_time() == pytest.approx(10)


async def test_a_link_changes_under_way(autojump_clock):
    one, other = pair()
    await one.send_all(b"soon")
    one.set_link(Link(latency_seconds=9, flip_at=one.bytes_sent))
    await one.send_all(b"late")
    assert await other.receive_some() == b"soon"
    assert await other.receive_some() == b"mate"
    assert trio.current_time() == pytest.approx(9)


# -- damage, and what is left to the seed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mask", "changed"), [(1, b"012345678:"[9:]), (0x80, b"\xb9")])
async def test_flip_at_byte_k(autojump_clock, mask, changed):
    one, other = pair(Link(flip_at=9, flip_mask=mask))
    for byte in b"0123456789abc":
        await one.send_all(bytes([byte]))
    await one.aclose()
    assert await read_all(other) == b"012345678" + (b"8" if mask == 1 else changed) + b"abc"


async def test_positions_left_to_the_seed(autojump_clock):
    drawn = {seed: pair(Link(cut_at=range(1000), flip_at=range(50, 60)), seed=seed)[0].link for seed in range(20)}
    assert len({link.cut_at for link in drawn.values()}) > 15
    assert {link.flip_at for link in drawn.values()} <= set(range(50, 60))
    one, _ = pair(Link(cut_at=range(1000), flip_at=range(50, 60)), seed=3)
    assert one.link == drawn[3]
    assert f"cut_at={one.link.cut_at}" in repr(one)


@pytest.mark.parametrize(
    "options",
    [
        {"latency_seconds": -1},
        {"buffer_bytes": -1},
        {"bytes_per_second": 0},
        {"segment_bytes": 0},
        {"write_bytes": range(3)},
        {"cut_at": -1},
        {"cut_at": range(0)},
        {"flip_mask": 256},
        {"latency_seconds": math.nan},
    ],
    ids=str,
)
def test_what_no_link_can_be(options):
    with pytest.raises(trio_ssh.LocalProtocolError, match=next(iter(options))):
        Link(**options)


def test_a_link_shows_what_is_not_as_usual():
    assert repr(Link()) == "Link()"
    assert repr(Link(latency_seconds=0.5, stuck=True)) == "Link(latency_seconds=0.5, stuck=True)"
