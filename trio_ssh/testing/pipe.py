"""`Pipe`: the bytes of one direction on their way, as a `Link` treats them.

No task moves anything: each piece gets the time at which it arrives when it is sent, and whoever waits sleeps until then or until the pipe
pokes him. Times are handed in, so that everything here is plain arithmetic.
"""

from __future__ import annotations

import math
import random
from collections import deque

import attrs
import trio

from ..errors import LocalProtocolError
from .link import Link, draw_size

NEVER = math.inf
PACKET_BYTES = 1460
"""Travels at once where time matters: what TCP puts into an Ethernet frame."""
RECEIVE_BYTES = 65536


@attrs.define(eq=False)
class _Arrival:
    """From `seconds` on everything before `position` is there."""

    seconds: float
    position: int


@attrs.define(eq=False)
class Pipe:
    """One direction of one connection. `sent` and `taken` count bytes; what lies between is in the pipe."""

    link: Link
    chance: random.Random
    recorded: bytearray | None = None
    """All that got through, if somebody wants it."""
    sent: int = 0
    """Lost bytes included."""
    taken: int = 0
    ended: bool = False
    """The sender has said that nothing more comes."""
    ends_at: float = NEVER
    """When the receiver learns that."""
    _data: bytearray = attrs.field(factory=bytearray)
    _arrivals: deque[_Arrival] = attrs.field(factory=deque)
    _arrived: int = 0
    _timed: int = 0
    """Up to this position bytes have been given a time."""
    _link_free_at: float = 0
    _last_arrival: float = 0
    _holds: set[str] = attrs.field(factory=set)
    _waiting: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)
    """For something to happen to this pipe, at either end."""

    # -- the sender's end --------------------------------------------------------------------------------------------------------

    @property
    def room(self) -> float:
        """How many bytes a sender may put in now."""
        link = self.link
        if link.stuck and link.stall_at is not None and self.sent >= _position(link.stall_at):
            return 0
        if link.buffer_bytes == 0:
            return 0 if self._data else NEVER
        return link.buffer_bytes - len(self._data)

    @property
    def is_drained(self) -> bool:
        """Has the receiver all that was sent?"""
        return not self._data

    def size_of_write(self, wanted: int) -> int:
        """How many of so many bytes go in at once; there must be room."""
        allowed = min(wanted, self.room)
        if self.link.stuck and self.link.stall_at is not None:
            allowed = min(allowed, _position(self.link.stall_at) - self.sent)
        return int(min(allowed, draw_size(self.link.write_bytes, self.chance, wanted)))

    def put(self, data: memoryview, now: float) -> bool:
        """Take these bytes over. False: the link is cut behind some of them."""
        link = self.link
        start, self.sent = self.sent, self.sent + len(data)
        cut_at = _position(link.cut_at)
        passed = bytearray(data[: int(max(0, min(len(data), cut_at - start)))])
        if link.flip_at is not None and 0 <= _position(link.flip_at) - start < len(passed):
            passed[int(_position(link.flip_at)) - start] ^= link.flip_mask
        if self.recorded is not None:
            self.recorded += passed
        self._data += passed
        self._give_times(now)
        return self.sent <= cut_at

    def end(self, now: float) -> None:
        """Nothing more comes."""
        self.ended = True
        self._give_times(now)

    def _give_times(self, now: float) -> None:
        """Bytes that may pass get the time at which they arrive."""
        if self._holds:
            return
        link = self.link
        kept = self.taken + len(self._data)
        until = int(min(kept, _position(link.stall_at)))
        while self._timed < until:
            size = min(PACKET_BYTES, until - self._timed) if link.takes_time else until - self._timed
            self._link_free_at = max(now, self._link_free_at)
            if link.bytes_per_second is not None:
                self._link_free_at += size / link.bytes_per_second
            late = link.jitter_seconds * self.chance.random() if link.jitter_seconds else 0.0
            self._last_arrival = max(self._last_arrival, self._link_free_at + link.latency_seconds + late)
            self._timed += size
            if self._arrivals and self._arrivals[-1].seconds == self._last_arrival:
                self._arrivals[-1].position = self._timed
            else:
                self._arrivals.append(_Arrival(self._last_arrival, self._timed))
        if self.ended and self.ends_at == NEVER and self._timed == kept and self.sent < _position(link.stall_at):
            self._last_arrival = self.ends_at = max(self._last_arrival, now + link.latency_seconds)
        self.poke()

    # -- the receiver's end ------------------------------------------------------------------------------------------------------

    def take(self, max_bytes: int | None, now: float) -> bytes:
        """What has arrived by now, b"" if that is nothing."""
        arrived = self._count_arrived(now) - self.taken
        if not arrived:
            return b""
        size = min(max_bytes or RECEIVE_BYTES, arrived, draw_size(self.link.segment_bytes, self.chance, arrived))
        data = bytes(self._data[:size])
        del self._data[:size]
        self.taken += size
        self.poke()
        return data

    def _count_arrived(self, now: float) -> int:
        while self._arrivals and self._arrivals[0].seconds <= now:
            self._arrived = self._arrivals.popleft().position
        return self._arrived

    def is_over(self, now: float) -> bool:
        """Has the receiver taken everything, and been told that nothing more comes?"""
        return self.ends_at <= now and self._count_arrived(now) == self.taken

    @property
    def next_event(self) -> float:
        """When the receiver will see something new, as far as is known."""
        return min(self._arrivals[0].seconds if self._arrivals else NEVER, self.ends_at)

    @property
    def last_arrival(self) -> float:
        """When the last byte that is on its way arrives."""
        return self._last_arrival

    # -- between -----------------------------------------------------------------------------------------------------------------

    @property
    def is_held(self) -> bool:
        """Does nothing get through at present, or any more?"""
        return bool(self._holds) or self.sent >= _position(self.link.stall_at)

    def set_link(self, link: Link, now: float) -> None:
        """What is sent from now on goes by `link`; positions count from the first byte ever."""
        self.link = link.drawn(self.chance)
        self._give_times(now)

    def hold(self, why: str, now: float) -> None:
        """Nothing arrives any more, what is on its way included, until `release` with the same word."""
        self._holds.add(why)
        self._drop_times(now)

    def release(self, why: str, now: float) -> None:
        """What was held leaves again now, unless something else holds it."""
        if why in self._holds:
            self._holds.discard(why)
            self._link_free_at = now
            self._give_times(now)

    def lose_what_is_on_its_way(self, now: float) -> None:
        """Only what has arrived is kept, and nothing arrives any more: the connection is gone."""
        self._holds.add("cut")
        self._drop_times(now)
        del self._data[self._arrived - self.taken :]
        self.poke()

    def _drop_times(self, now: float) -> None:
        self._timed = self._count_arrived(now)
        self._arrivals.clear()
        self._last_arrival = now
        if self.ends_at > now:
            self.ends_at = NEVER

    def poke(self) -> None:
        """Everybody who waits looks again."""
        self._waiting.unpark_all()

    async def wait_poke(self, until: float) -> None:
        """Until `poke`, or that time."""
        if until == NEVER:
            await self._waiting.park()
        else:
            with trio.move_on_at(until):
                await self._waiting.park()


def _position(choice: object) -> float:
    """A drawn position as a number; None is never."""
    if choice is None:
        return NEVER
    if not isinstance(choice, int):
        raise LocalProtocolError("a pipe takes a link whose positions have been drawn: `Link.drawn`")
    return choice
