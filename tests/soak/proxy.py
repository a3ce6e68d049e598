"""A TCP relay on this machine that now and then does to a connection what networks do."""

from __future__ import annotations

import random
import struct
from collections import Counter

import attrs
import trio
from trio import socket

RESET_AT_CLOSE = struct.pack("ii", 1, 0)


@attrs.define(eq=False)
class Relayed:
    """One connection: the client's port tells which."""

    port: int
    streams: tuple[trio.SocketStream, trio.SocketStream]
    scope: trio.CancelScope
    flowing: trio.Event
    fault: str = ""
    """What was done to it that it cannot survive; "" if nothing."""

    def reset(self) -> None:
        for stream in self.streams:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
        self.scope.cancel()

    def pause(self) -> None:
        """Nothing moves any more, and nobody is told."""
        self.flowing = trio.Event()

    def go_on(self) -> None:
        self.flowing.set()


@attrs.define(eq=False)
class FaultyProxy:
    """`serve` relays to `target`; `misbehave` does something to one of the connections."""

    target: tuple[str, int]
    chance: random.Random
    connections: dict[int, Relayed] = attrs.field(factory=dict)
    lost: set[int] = attrs.field(factory=set)
    """Ports of all that were given a fault that they cannot survive."""
    faults: Counter[str] = attrs.field(factory=Counter)

    async def serve(self, *, task_status: trio.TaskStatus[int]) -> None:
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(trio.serve_tcp, self._relay_one, 0)
            task_status.started(listeners[0].socket.getsockname()[1])

    async def _relay_one(self, near: trio.SocketStream) -> None:
        port = near.socket.getpeername()[1]
        try:
            far = await trio.open_tcp_stream(*self.target)
        except OSError:
            return
        flowing = trio.Event()
        flowing.set()
        async with near, far:
            with trio.CancelScope() as scope:
                relayed = self.connections[port] = Relayed(port, (near, far), scope, flowing)
                try:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(self._copy, relayed, near, far)
                        nursery.start_soon(self._copy, relayed, far, near)
                finally:
                    del self.connections[port]

    async def _copy(self, relayed: Relayed, source: trio.SocketStream, sink: trio.SocketStream) -> None:
        try:
            while data := await source.receive_some(65536):
                await relayed.flowing.wait()
                await sink.send_all(data)
            await sink.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            relayed.scope.cancel()

    async def misbehave(self, nursery: trio.Nursery, black_hole_seconds: float) -> None:
        """A pause that a connection survives, or a cut, a close or a black hole that it does not."""
        candidates = [relayed for relayed in self.connections.values() if not relayed.fault]
        if not candidates:
            await trio.lowlevel.checkpoint()
            return
        relayed = self.chance.choice(candidates)
        kind = self.chance.choice(["reset", "close", "pause", "pause", "black hole"])
        self.faults[kind] += 1
        if kind != "pause":
            relayed.fault = kind
            self.lost.add(relayed.port)
        if kind == "reset":
            relayed.reset()
        elif kind == "close":
            relayed.scope.cancel()
        else:
            relayed.pause()
            nursery.start_soon(self._resume, relayed, self.chance.uniform(0.05, 0.5) if kind == "pause" else black_hole_seconds)

    async def _resume(self, relayed: Relayed, seconds: float) -> None:
        await trio.sleep(seconds)
        if relayed.fault:
            relayed.scope.cancel()
        relayed.go_on()
