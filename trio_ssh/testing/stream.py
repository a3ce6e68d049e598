"""`SimulatedStream`: one end of a simulated connection. Its rules are those of a TCP socket; its faults can be had at any moment."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

import attrs
import trio

from ..connection.exclusive import Exclusive
from .link import Link
from .pipe import NEVER, Pipe


@attrs.define(eq=False)
class Fate:
    """How the connection of two ends was cut, as one of them knows it: from `known_at` on."""

    known_at: float = NEVER
    cleanly: bool = False

    def is_known(self) -> bool:
        return self.known_at <= trio.current_time()


class SimulatedStream(trio.abc.HalfCloseableStream):
    """One end of a connection over a `SimulatedNetwork`, which makes it: `stream_pair`, `connect`, or `accept` of a listener.

    A reset raises `trio.BrokenResourceError` from a `ConnectionResetError`, sending to a peer that has closed raises it from a
    `BrokenPipeError`. Cancelled, `send_all` has sent a beginning of its data. `local` and `remote` are the names of the two hosts.
    """

    __slots__ = ("_closed", "_fate", "_in", "_on_take", "_other", "_out", "_receiving", "_sending", "local", "remote")

    _other: SimulatedStream

    def __init__(self, local: str, remote: str, outgoing: Pipe, incoming: Pipe, on_take: Callable[[SimulatedStream, int], None]) -> None:
        self.local = local
        self.remote = remote
        self._out = outgoing
        self._in = incoming
        self._on_take = on_take
        self._fate = Fate()
        self._closed = False
        self._sending = Exclusive("another task is already sending on this stream")
        self._receiving = Exclusive("another task is already receiving on this stream")

    def join(self, other: SimulatedStream) -> None:
        """`other` is the far end."""
        self._other, other._other = other, self

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"sent {self.bytes_sent}, received {self.bytes_received}"
        return f"<SimulatedStream {self.local} -> {self.remote}: {state}; {self.link}>"

    # -- the stream --------------------------------------------------------------------------------------------------------------

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As `trio.SocketStream`'s: returns when the link's buffer has taken all."""
        with self._sending, memoryview(data) as given, given.cast("B") as view:
            await trio.lowlevel.checkpoint()
            self._check_writable()
            offset, total = 0, len(view)
            while offset < total:
                await self._wait_room()
                size = self._out.size_of_write(total - offset)
                if not self._out.put(view[offset : offset + size], trio.current_time()):
                    self._cut_by_link()
                    self._check_writable()
                offset += size
                if self._out.link.write_bytes is not None and offset < total:
                    await trio.lowlevel.checkpoint()
            while self._out.link.buffer_bytes == 0 and not self._out.is_drained:
                await self._wait_for_change()

    async def wait_send_all_might_not_block(self) -> None:
        """Until the link's buffer has room, or the connection is gone."""
        with self._sending:
            await trio.lowlevel.checkpoint()
            self._check_writable()
            await self._wait_room()

    async def send_eof(self) -> None:
        """The other end reads to the end and may go on sending."""
        with self._sending:
            await trio.lowlevel.checkpoint()
            if self._closed:
                raise trio.ClosedResourceError("this stream was closed")
            self._out.end(trio.current_time())

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What has arrived, b"" at the end. What arrived before a reset is read first."""
        if max_bytes is not None and (not isinstance(max_bytes, int) or max_bytes < 1):
            raise (ValueError if isinstance(max_bytes, int) else TypeError)(f"max_bytes must be a positive integer, not {max_bytes!r}")
        with self._receiving:
            await trio.lowlevel.checkpoint()
            while True:
                if self._closed:
                    raise trio.ClosedResourceError("this stream was closed")
                data = self._in.take(max_bytes, trio.current_time())
                if data:
                    self._on_take(self, len(data))
                    return data
                if self._is_at_end():
                    return b""
                await self._in.wait_poke(min(self._in.next_event, self._fate.known_at))

    async def aclose(self) -> None:
        """The other end reads what is on its way, then the end; what it sends from then on breaks."""
        if not self._closed:
            self._closed = True
            self._out.end(trio.current_time())
            self._poke()
        await trio.lowlevel.checkpoint()

    # -- inside ------------------------------------------------------------------------------------------------------------------

    def _check_writable(self) -> None:
        if self._closed or self._out.ended:
            raise trio.ClosedResourceError("this stream was closed" if self._closed else "send_eof was called on this stream")
        if self._fate.is_known() and not self._fate.cleanly:
            raise broken(ConnectionResetError, errno.ECONNRESET)
        if self._fate.is_known() or self._peer_is_gone_at() <= trio.current_time():
            raise broken(BrokenPipeError, errno.EPIPE)

    def _is_at_end(self) -> bool:
        """Was that all? Raises for a reset."""
        if self._fate.is_known():
            if not self._fate.cleanly:
                raise broken(ConnectionResetError, errno.ECONNRESET)
            return True
        return self._in.is_over(trio.current_time())

    def _peer_is_gone_at(self) -> float:
        """When we learn that the other end takes nothing any more."""
        return self._in.ends_at if self._other._closed else NEVER

    async def _wait_room(self) -> None:
        while self._out.room <= 0:
            await self._wait_for_change()

    async def _wait_for_change(self) -> None:
        """On the sender's side. Raises when the connection is gone."""
        await self._out.wait_poke(min(self._fate.known_at, self._peer_is_gone_at()))
        self._check_writable()

    def _cut_by_link(self) -> None:
        """Our link ends here: we know at once, the other end when the news has come to it behind our bytes."""
        now = trio.current_time()
        cleanly = self._out.link.cut_cleanly
        self._fate = Fate(now, cleanly)
        self._other._fate = Fate(NEVER if self._out.is_held else max(now, self._out.last_arrival), cleanly)
        self._in.lose_what_is_on_its_way(now)
        self._poke()

    def _poke(self) -> None:
        self._out.poke()
        self._in.poke()

    # -- looking, and faults at any moment ---------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """By `aclose` of this end."""
        return self._closed

    @property
    def both_ends(self) -> tuple[SimulatedStream, SimulatedStream]:
        """This one, then the far one."""
        return self, self._other

    @property
    def is_over(self) -> bool:
        """Are both ends closed?"""
        return self._closed and self._other._closed

    @property
    def link(self) -> Link:
        """What happens to the bytes that this end sends; a position that was left to the seed has its value."""
        return self._out.link

    @property
    def bytes_sent(self) -> int:
        """Lost ones included."""
        return self._out.sent

    @property
    def bytes_received(self) -> int:
        return self._in.taken

    @property
    def recorded(self) -> bytearray:
        """What got through of all that this end has sent, to be cleared at will; empty unless the network records."""
        return self._out.recorded if self._out.recorded is not None else bytearray()

    def set_link(self, link: Link) -> None:
        """What this end sends from now on goes by `link`. Positions count from the first byte ever: add `bytes_sent`."""
        self._out.set_link(link, trio.current_time())

    def cut(self, *, cleanly: bool = False) -> None:
        """Now, for both ends: a reset, or, `cleanly`, what looks like a close of the other end to each. What is on its way is lost."""
        now = trio.current_time()
        self._fate, self._other._fate = Fate(now, cleanly), Fate(now, cleanly)
        self._in.lose_what_is_on_its_way(now)
        self._out.lose_what_is_on_its_way(now)

    def stall(self) -> None:
        """Nothing that this end sends arrives any more, nor its end; the other end is not told. Half-open."""
        self._out.hold("stall", trio.current_time())

    def resume(self) -> None:
        """What `stall` has kept arrives."""
        self._out.release("stall", trio.current_time())

    def part(self) -> None:
        """The network between the two hosts is parted: nothing arrives in either direction."""
        for pipe in (self._out, self._in):
            pipe.hold("partition", trio.current_time())

    def heal(self) -> None:
        """It is one network again."""
        for pipe in (self._out, self._in):
            pipe.release("partition", trio.current_time())


def broken(kind: type[OSError], number: int) -> trio.BrokenResourceError:
    """As trio raises it for a socket."""
    cause = kind(number, os.strerror(number))
    error = trio.BrokenResourceError(f"socket connection broken: {cause}")
    error.__cause__ = cause
    return error
