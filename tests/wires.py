"""Streams that misbehave: cut, stall or flip a bit at byte k, or give what comes in small pieces."""

from __future__ import annotations

import attrs
import trio
from trio.testing import memory_stream_pair

Streams = tuple[trio.abc.Stream, trio.abc.Stream]
"""The client's end, the server's end."""


@attrs.define(eq=False)
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
    count: int = 0
    """Bytes sent so far."""
    recorded: bytearray = attrs.field(factory=bytearray)


class MisbehavingStream(trio.abc.Stream):
    """One end of a memory pair; `wire` is what its bytes go through, `incoming` the other end's wire."""

    def __init__(self, inner: trio.abc.Stream, wire: Wire, incoming: Wire, broken: trio.Event) -> None:
        self._inner = inner
        self._wire = wire
        self._incoming = incoming
        self._broken = broken
        self.closed = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        wire = self._wire
        out = bytearray(data)
        start, wire.count = wire.count, wire.count + len(out)
        if self._broken.is_set():
            await trio.lowlevel.checkpoint()
            raise trio.BrokenResourceError("cut") from ConnectionResetError(104, "Connection reset by peer")
        if wire.flip_at is not None and start <= wire.flip_at < wire.count:
            out[wire.flip_at - start] ^= 1
        ends = [k for k in (wire.cut_at, wire.stall_at) if k is not None and k < wire.count]
        passed = out[: max(0, min(ends) - start)] if ends else out
        wire.recorded += passed
        if passed:
            await self._inner.send_all(bytes(passed))
        if wire.cut_at is not None and wire.count > wire.cut_at:
            self._broken.set()
            await trio.lowlevel.checkpoint()
            raise trio.BrokenResourceError("cut") from ConnectionResetError(104, "Connection reset by peer")
        if ends and wire.stuck:
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        segment = self._incoming.segment
        wanted = min(max_bytes or 65536, segment or 65536)
        found: list[bytes] = []

        async def receive() -> None:
            found.append(bytes(await self._inner.receive_some(wanted)))
            nursery.cancel_scope.cancel()

        async def watch() -> None:
            await self._broken.wait()
            nursery.cancel_scope.cancel()

        if self._incoming.cut_at is None and self._wire.cut_at is None:
            data = bytes(await self._inner.receive_some(wanted))
        else:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(receive)
                nursery.start_soon(watch)
            if not found:
                raise trio.BrokenResourceError("cut") from ConnectionResetError(104, "Connection reset by peer")
            data = found[0]
        if not data and self._incoming.stall_at is not None and self._incoming.count > self._incoming.stall_at:
            await trio.sleep_forever()
        return data

    async def aclose(self) -> None:
        self.closed = True
        await self._inner.aclose()


def misbehaving(
    client: Wire | None = None, server: Wire | None = None, inner: Streams | None = None
) -> tuple[MisbehavingStream, MisbehavingStream]:
    """A pair whose client's bytes go through `client` and whose server's bytes go through `server`."""
    one, other = inner or memory_stream_pair()
    up, down = client or Wire(), server or Wire()
    broken = trio.Event()
    return MisbehavingStream(one, up, down, broken), MisbehavingStream(other, down, up, broken)
