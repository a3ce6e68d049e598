"""Generator G3: one short connection, and what becomes of it when byte k of one direction is the last, or never comes, or comes flipped.

The connection is always the same: identification, key exchange, login, a command that gives back 64 KiB of input, and fresh keys while that
is under way. Sizes of packets do not depend on keys or chance, so that byte k is the same byte of the same packet in each run; with AES-GCM
the lengths of packets can be read in a recording, which tells where they begin and end. `live` meets one `Point`, `judge` says whether
what happened may happen. A point costs some 5 ms: tests/faults/test_bytes.py takes a sample, ``make soak`` as many as it has time for.
"""

from __future__ import annotations

import random
from enum import Enum

import attrs
import trio
from trio.testing import wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from trio_ssh.wire.numbers import MessageNumber as M

DATA = pairs.pattern(65536)
ALGORITHMS = trio_ssh.Algorithms(kex=("curve25519-sha256",), ciphers=("aes128-gcm@openssh.com",))
LIMITS = trio_ssh.Limits(keepalive_seconds=10, keepalive_misses=1)
"""What a wire says nothing about any more, only the keepalive finds out."""
DEADLINES = 60 + 20 + 5 + 1
"""Virtual seconds: login, keepalive, close and flush, one behind the other, are over by then."""
PACKET_SECONDS = LIMITS.packet_bytes / 1024
"""A flipped length may make a packet longer: it is given the time that a slow but healthy peer would need for it (FLT-04)."""
CALLER_SECONDS = 500
"""What a caller of ours may have for a deadline: later than any of the library's own."""
TYPED = (trio_ssh.SSHError, trio.BrokenResourceError, trio.ClosedResourceError)


class Fault(Enum):
    EOF = "the stream ends: the receiver reads so far, what is sent later goes nowhere"
    RST = "the connection breaks, both ways"
    STALL = "nothing arrives any more, not even the end of the stream; at odd positions sending blocks as well"
    FLIP = "one bit is another"


@attrs.frozen(order=True)
class Point:
    """Behind `at` bytes of that direction; a flip is in the byte at that position."""

    direction: str
    """``up``: what the client sends; ``down``: what the server sends."""
    fault: Fault = attrs.field(order=lambda fault: fault.name)
    at: int

    def __str__(self) -> str:
        return f"{self.direction}:{self.fault.name}:{self.at}"

    @classmethod
    def parse(cls, text: str) -> Point:
        direction, fault, at = text.split(":")
        return cls(direction, Fault[fault], int(at))


# -- a wire ----------------------------------------------------------------------------------------------------------------------------


@attrs.define(eq=False)
class Pipe:
    """One direction of a connection, and what goes wrong in it."""

    point: Point | None = None
    sent: bytearray = attrs.field(factory=bytearray)
    """All that was given to it."""
    waiting: bytearray = attrs.field(factory=bytearray)
    ended: bool = False
    broken: bool = False
    dead: bool = False
    reader: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    def put(self, data: bytes) -> bool:
        """True: the connection breaks now."""
        start = len(self.sent)
        self.sent += data
        point = self.point
        if self.dead or self.ended:
            return False
        if point is None or point.at > start + len(data) or (point.fault is Fault.FLIP and point.at == start + len(data)):
            self.waiting += data
        elif point.fault is Fault.FLIP:
            self.waiting += data
            if point.at >= start:
                self.waiting[len(self.waiting) - len(data) + point.at - start] ^= 1 << point.at % 8
        else:
            self.waiting += data[: point.at - start]
            self.ended, self.dead = point.fault is Fault.EOF, point.fault is Fault.STALL
        self.reader.unpark_all()
        return point is not None and point.fault is Fault.RST and point.at <= start + len(data)

    def finish(self) -> None:
        self.ended = not self.dead
        self.reader.unpark_all()

    def snap(self) -> None:
        self.broken = True
        self.reader.unpark_all()


class FaultyEnd(trio.abc.Stream):
    """One end: sends into `out`, receives from `into`."""

    def __init__(self, out: Pipe, into: Pipe) -> None:
        self._out, self._into = out, into
        self.closed = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        if self._out.broken:
            raise trio.BrokenResourceError("cut") from ConnectionResetError(104, "Connection reset by peer")
        if self._out.put(bytes(data)):
            self._out.snap()
            self._into.snap()
        elif self._out.dead and self._out.point is not None and self._out.point.at % 2:
            await trio.sleep_forever()

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        pipe = self._into
        await trio.lowlevel.checkpoint()
        while not pipe.waiting:
            if pipe.broken:
                raise trio.BrokenResourceError("cut") from ConnectionResetError(104, "Connection reset by peer")
            if pipe.ended:
                return b""
            await pipe.reader.park()
        data = bytes(pipe.waiting[:max_bytes])
        del pipe.waiting[:max_bytes]
        return data

    async def aclose(self) -> None:
        self.closed = True
        self._out.finish()
        await trio.lowlevel.checkpoint()


# -- a life ----------------------------------------------------------------------------------------------------------------------------


@attrs.define
class Life:
    """What became of one connection."""

    received: bytearray = attrs.field(factory=bytearray)
    """By the command."""
    answer: bytearray = attrs.field(factory=bytearray)
    """Given to the client's application."""
    command_saw_the_end: bool = False
    complete: bool = False
    error: Exception | None = None
    server_cause: Exception | None = None
    seconds: float = 0
    in_time: bool = True
    """False: only the caller's deadline ended it."""
    channels_left: int = 0
    """At the server, as its observer counts them."""
    logged_in_at: dict[str, int] = attrs.field(factory=dict)
    """Bytes sent in each direction by the time the client was logged in."""

    @property
    def outcome(self) -> str:
        return "complete" if self.complete else type(self.error).__name__ if self.error is not None else "the caller's deadline"


async def live(point: Point | None = None, up: Pipe | None = None, down: Pipe | None = None) -> Life:
    """One connection in which `point` happens."""
    life = Life()
    up, down = up or Pipe(), down or Pipe()
    if point is not None:
        (up if point.direction == "up" else down).point = point
        if point.at == 0 and point.fault is not Fault.FLIP and (up if point.direction == "up" else down).put(b""):
            up.snap()
            down.snap()
    client_end, server_end = FaultyEnd(up, down), FaultyEnd(down, up)

    async def echo(session: trio_ssh.ServerSession) -> int:
        async for chunk in session:
            life.received += chunk
            await session.send_all(chunk)
        life.command_saw_the_end = True
        return 0

    tasks = trio.lowlevel.current_statistics().tasks_living
    async with pairs.served(echo, stream=server_end, limits=LIMITS, algorithms=ALGORITHMS) as ends:
        started = trio.current_time()
        patience = trio.CancelScope(deadline=started + CALLER_SECONDS)
        try:
            with patience:
                async with pairs.connecting(client_end, limits=LIMITS, algorithms=ALGORITHMS) as client:
                    life.logged_in_at = {"up": len(up.sent), "down": len(down.sent)}
                    await use(client, life)
        except TYPED as error:
            life.error = error
        life.in_time = not patience.cancelled_caught
        life.seconds = trio.current_time() - started
        await ends.server_done.wait()
        life.seconds = max(life.seconds if not life.in_time else 0, trio.current_time() - started)
        life.server_cause = ends.server_cause
        life.channels_left = ends.channels_left()[1]
    await wait_all_tasks_blocked()
    assert [client_end.closed, server_end.closed] == [True, True]
    assert trio.lowlevel.current_statistics().tasks_living == tasks, "a task was left"
    return life


async def use(client: trio_ssh.Client, life: Life) -> None:
    """The command, and fresh keys while its input is on its way."""
    status = None
    async with client.open_process("echo") as process, trio.open_nursery() as nursery:
        nursery.start_soon(feed, process.stdin)
        try:
            await client.rekey()
            async for chunk in process.stdout:
                life.answer += chunk
            status = await process.wait()
        except TYPED as error:
            life.error = error  # kept, not raised: out of a nursery it would come in a group
            nursery.cancel_scope.cancel()
    life.complete = status == 0 and life.answer == DATA


async def feed(stdin: trio.abc.SendStream) -> None:
    try:
        await stdin.send_all(DATA)
        await stdin.aclose()
    except trio.BrokenResourceError:
        pass  # who reads is told as well


# -- what may happen ------------------------------------------------------------------------------------------------------------------


@attrs.frozen
class Recording:
    """Where things are in each direction when nothing goes wrong."""

    sizes: dict[str, int]
    packets: dict[str, list[int]]
    """Where each packet begins; the first one is behind the identification line."""
    padding: dict[str, frozenset[int]]
    """Bytes that nothing protects: the padding before the first keys."""
    needed: dict[str, int]
    """Behind the last byte without which the answer is not complete."""
    login: dict[str, range]
    """The bytes of the login: a client has no deadline of its own for them, its caller has."""


async def record() -> Recording:
    up, down = Pipe(), Pipe()
    life = await live(None, up, down)
    assert life.complete
    assert (life.error, life.channels_left) == (None, 0)
    assert isinstance(life.server_cause, trio_ssh.Disconnected)
    sent = {"up": bytes(up.sent), "down": bytes(down.sent)}
    packets: dict[str, list[int]] = {}
    padding: dict[str, frozenset[int]] = {}
    needed: dict[str, int] = {}
    login: dict[str, range] = {}
    for direction, data in sent.items():
        packets[direction], padding[direction], keys_at = _packets(data)
        ends = [*packets[direction][1:], len(data)]
        needed[direction] = max(end for start, end in zip(packets[direction], ends, strict=True) if end - start > 1000)
        login[direction] = range(keys_at, life.logged_in_at[direction])
    return Recording({direction: len(data) for direction, data in sent.items()}, packets, padding, needed, login)


def _packets(data: bytes) -> tuple[list[int], frozenset[int], int]:
    """Where packets begin, where padding is, where the first keys begin to protect."""
    begins, padding, keys_at = [], set[int](), 0
    at = data.index(b"\n") + 1
    while at < len(data):
        begins.append(at)
        length = int.from_bytes(data[at : at + 4], "big")
        if keys_at:
            at += 4 + length + 16
            continue
        padding.update(range(at + 4 + length - data[at + 4], at + 4 + length))
        is_newkeys = data[at + 5] == M.NEWKEYS
        at += 4 + length
        keys_at = at if is_newkeys else 0
    assert at == len(data)
    return begins, frozenset(padding), keys_at


def judge(point: Point, life: Life, recording: Recording) -> None:
    """Raises AssertionError: what happened must not happen (hardening FLT-12 to FLT-14)."""
    assert DATA.startswith(life.received), "the command was given something else than was sent"
    assert DATA.startswith(life.answer), "the client was given something else than was sent"
    assert not life.command_saw_the_end or len(life.received) == len(DATA), "an end of file that nobody sent"
    assert life.complete or life.error is not None or not life.in_time, "an end of file that nobody sent"
    assert isinstance(life.server_cause, trio_ssh.SSHError), f"the server does not know how it ended: {life.server_cause!r}"
    if point.fault in (Fault.EOF, Fault.RST):
        assert life.seconds <= 1
        assert life.in_time
    in_login = point.direction == "down" and point.at in recording.login["down"]
    assert life.in_time or in_login, "no deadline of the library's own fired"
    bound = DEADLINES + CALLER_SECONDS * in_login + PACKET_SECONDS * (point.fault is Fault.FLIP)
    assert life.seconds <= bound, f"it took {life.seconds:g} s"
    harmless = point.fault is Fault.FLIP and point.at in recording.padding[point.direction]
    if harmless:
        assert life.complete
    elif point.at < recording.needed[point.direction]:
        assert not life.complete, "the fault was not noticed"


async def meet(point: Point, recording: Recording) -> str:
    """One point: how it ended, in a word; or an exception that says how to meet it again."""
    try:
        life = await live(point)
        judge(point, life, recording)
    except Exception as error:
        error.add_note(f"to see it again: python -m tests.soak --point {point}")
        raise
    return life.outcome


def all_points(recording: Recording) -> list[Point]:
    """Every one, in order."""
    return [Point(way, fault, at) for way in ("up", "down") for fault in Fault for at in range(recording.sizes[way])]


def sampled(recording: Recording, direction: str, fault: Fault, *, dense: int, around: int, others: int, seed: int = 0) -> list[int]:
    """The first `dense` bytes, `around` bytes before and behind each packet's first one, and `others` at random."""
    size = recording.sizes[direction]
    chosen = set(range(dense)) | set(random.Random(f"{seed} {direction} {fault.name}").sample(range(size), others))
    for begin in [*recording.packets[direction], size]:
        chosen.update(range(begin - around, begin + around + 1))
    return sorted(at for at in chosen if 0 <= at < size)
