"""Streams that misbehave, over simulated ones: what happens to the bytes of one end can be set on a `Wire` at any moment."""

from __future__ import annotations

import math
from typing import Any, Protocol

import attrs
import trio

from trio_ssh.testing import Link, SimulatedNetwork, SimulatedStream
from trio_ssh.testing.raw_peer import Streams as Streams


def _tell_stream(wire: Wire, attribute: attrs.Attribute[Any], value: Any) -> Any:
    """Called when a knob is turned: the stream goes by it from now on."""
    if wire.stream is not None and attribute.name != "stream":
        wire.stream.set_link(wire.link(**{attribute.name: value}))
    return value


@attrs.define(eq=False, on_setattr=_tell_stream)
class Wire:
    """What happens to the bytes that one end sends. Positions count from the first byte sent; None means never."""

    cut_at: int | None = None
    """Behind so many bytes the stream breaks, both ways."""
    stall_at: int | None = None
    """Behind so many bytes nothing arrives any more, not even the end of the stream."""
    flip_at: int | None = None
    """The lowest bit of this byte is flipped."""
    segment: int | None = None
    """The receiver gets at most so many bytes at once."""
    stuck: bool = False
    """From `stall_at` on sending blocks; else what is sent is swallowed."""
    stream: SimulatedStream | None = None
    """Whose bytes go by this wire."""

    def link(self, **changed: Any) -> Link:
        knobs = {name: getattr(self, name) for name in ("cut_at", "stall_at", "flip_at", "segment", "stuck")} | changed
        return Link(buffer_bytes=math.inf, segment_bytes=knobs.pop("segment"), **knobs)

    @property
    def count(self) -> int:
        """Bytes sent so far, lost ones included."""
        return self.stream.bytes_sent if self.stream is not None else 0

    @property
    def recorded(self) -> bytearray:
        """All that got through."""
        return self.stream.recorded if self.stream is not None else bytearray()


class Breakable(Protocol):
    """``broken.set()`` is the end of both directions."""

    def set(self) -> object: ...


@attrs.frozen(eq=False)
class Scissors:
    stream: SimulatedStream

    def set(self) -> None:
        self.stream.cut()


class MisbehavingStream(trio.abc.Stream):
    """Passes everything on to `inner`, so that a test can put something of its own in between, and says whether it was closed."""

    def __init__(self, inner: trio.abc.Stream, wire: Wire, incoming: Wire, broken: Breakable) -> None:
        self._inner = inner
        self._wire = wire
        self._incoming = incoming
        self._broken = broken
        self.closed = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._inner.send_all(data)
        await trio.lowlevel.checkpoint()  # so that two calls make two segments, mostly

    async def wait_send_all_might_not_block(self) -> None:
        await self._inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return bytes(await self._inner.receive_some(min(max_bytes or 65536, self._incoming.segment or 65536)))

    async def aclose(self) -> None:
        self.closed = True
        await self._inner.aclose()


def misbehaving(
    client: Wire | None = None, server: Wire | None = None, inner: Streams | None = None
) -> tuple[MisbehavingStream, MisbehavingStream]:
    """A pair whose client's bytes go through `client` and whose server's bytes go through `server`. Of `inner`, only segments are small."""
    up, down = client or Wire(), server or Wire()
    if inner is not None:
        return MisbehavingStream(inner[0], up, down, trio.Event()), MisbehavingStream(inner[1], down, up, trio.Event())
    one, other = SimulatedNetwork(record=True, passages=0).stream_pair(up.link(), down.link())
    up.stream, down.stream = one, other
    return MisbehavingStream(one, up, down, Scissors(one)), MisbehavingStream(other, down, up, Scissors(other))
