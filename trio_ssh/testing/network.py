"""`SimulatedNetwork`: hosts with names, listeners, and links between them; everything that is left to chance comes from one seed."""

from __future__ import annotations

import errno
import os
import random
from collections import deque
from collections.abc import Iterator

import attrs
import trio

from ..errors import LocalProtocolError
from .link import Link
from .pipe import Pipe
from .stream import SimulatedStream

PASSAGES = 100_000
BACKLOG = 128
"""Connections that wait for `accept`."""
FIRST_FREE_PORT = 49152

_Hosts = tuple[str | None, str | None]


@attrs.frozen
class Passage:
    """`size` bytes of `sender` were taken by `receiver` at that time."""

    seconds: float
    sender: str
    receiver: str
    size: int


class SimulatedListener(trio.abc.Listener[SimulatedStream]):
    """What `SimulatedNetwork.listen` gives: for `trio.serve_listeners`, `trio_ssh.serve_listeners`, or `accept`."""

    def __init__(self, network: SimulatedNetwork, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._network = network
        self._waiting = trio.open_memory_channel[SimulatedStream](BACKLOG)

    def __repr__(self) -> str:
        return f"<SimulatedListener {self.host} port {self.port}>"

    async def accept(self) -> SimulatedStream:
        """The next connection, in the order of their arrival."""
        return await self._waiting[1].receive()

    async def aclose(self) -> None:
        """Nobody gets in any more; who waits for `accept` is reset."""
        self._network.forget(self)
        for stream in self._left():
            stream.cut()
        self._waiting[1].close()  # first: a task in `accept` is told that we are closed
        self._waiting[0].close()
        await trio.lowlevel.checkpoint()

    def _left(self) -> Iterator[SimulatedStream]:
        while True:
            try:
                yield self._waiting[1].receive_nowait()
            except (trio.WouldBlock, trio.EndOfChannel, trio.ClosedResourceError):
                return

    def arrive(self, stream: SimulatedStream) -> bool:
        """A connection has come in. False: too many wait."""
        try:
            self._waiting[0].send_nowait(stream)
        except trio.WouldBlock:
            return False
        return True


class SimulatedNetwork:
    """`stream_pair` for two ends at once; `listen` and `connect` for hosts with names; `set_link`, `partition` and `heal` for the weather.

    Time is trio's, so that on `trio.testing.MockClock` with ``autojump_threshold=0`` latencies cost nothing. `random` is the one source of
    chance, seeded with `seed`: a test may draw from it too. `record` keeps what every stream has sent (`SimulatedStream.recorded`);
    `passages` is how many entries `transcript` holds, the last ones.
    """

    def __init__(self, seed: int = 0, *, link: Link | None = None, record: bool = False, passages: int = PASSAGES) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.transcript: deque[Passage] = deque(maxlen=passages)
        """Who took how many bytes when."""
        self._record = record
        self._default = link or Link()
        self._links: dict[tuple[str, str], Link] = {}
        self._listeners: dict[tuple[str, int], SimulatedListener] = {}
        self._streams: list[SimulatedStream] = []
        self._partings: list[_Hosts] = []
        self._healed = trio.lowlevel.ParkingLot()

    def __repr__(self) -> str:
        return f"SimulatedNetwork(seed={self.seed})"

    # -- connections -------------------------------------------------------------------------------------------------------------

    def stream_pair(
        self, up: Link | None = None, down: Link | None = None, *, client: str = "client", server: str = "server"
    ) -> tuple[SimulatedStream, SimulatedStream]:
        """A connection: the end of the host `client`, whose bytes go by `up`, and that of `server`, whose bytes go by `down`.

        A link that is not given is the one between these hosts, see `set_link`.
        """
        pipes = [
            Pipe(link.drawn(self.random), self.random, bytearray() if self._record else None)
            for link in (up or self.link(client, server), down or self.link(server, client))
        ]
        one = SimulatedStream(client, server, pipes[0], pipes[1], self._note)
        other = SimulatedStream(server, client, pipes[1], pipes[0], self._note)
        one.join(other)
        self._streams = [stream for stream in self._streams if not stream.is_over]
        self._streams.append(one)
        if self._are_parted(client, server):
            one.part()
        return one, other

    def _note(self, receiver: SimulatedStream, size: int) -> None:
        self.transcript.append(Passage(trio.current_time(), receiver.remote, receiver.local, size))

    def listen(self, host: str, port: int = 0) -> SimulatedListener:
        """Connections to `host` and `port` come out of the listener's `accept`; 0 is any free port. Raises `OSError` if it is taken."""
        if port == 0:
            port = next(port for port in range(FIRST_FREE_PORT, 65536) if (host, port) not in self._listeners)
        if (host, port) in self._listeners:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        listener = self._listeners[host, port] = SimulatedListener(self, host, port)
        return listener

    def forget(self, listener: SimulatedListener) -> None:
        """It was closed: its port is free."""
        if self._listeners.get((listener.host, listener.port)) is listener:
            del self._listeners[listener.host, listener.port]

    async def connect(self, host: str, port: int, *, source: str = "client") -> SimulatedStream:
        """Dial from the host `source`; it takes a round trip. Raises `ConnectionRefusedError` where nobody listens.

        While the hosts are parted it waits, for ever if need be: use a cancel scope.
        """
        await trio.lowlevel.checkpoint()
        await trio.sleep(self.link(source, host).latency_seconds + self.link(host, source).latency_seconds)
        while self._are_parted(source, host):
            await self._healed.park()
        listener = self._listeners.get((host, port))
        if listener is not None:
            ours, theirs = self.stream_pair(client=source, server=host)
            if listener.arrive(theirs):
                return ours
        raise ConnectionRefusedError(errno.ECONNREFUSED, f"{os.strerror(errno.ECONNREFUSED)}: {host} port {port}")

    # -- the weather -------------------------------------------------------------------------------------------------------------

    def link(self, sender: str, receiver: str) -> Link:
        """What new connections between these hosts get, for bytes in this direction."""
        return self._links.get((sender, receiver), self._default)

    def set_link(self, link: Link, *, sender: str | None = None, receiver: str | None = None) -> None:
        """Bytes from `sender` to `receiver` go by `link`, those of connections that are open included; None is every host.

        With both None it is the default for connections to come as well.
        """
        if sender is None and receiver is None:
            self._default = link
            self._links.clear()
        elif sender is None or receiver is None:
            raise LocalProtocolError("name both hosts, or neither: a link has two ends")
        else:
            self._links[sender, receiver] = link
        for stream in self._ends():
            if sender is None or (stream.local, stream.remote) == (sender, receiver):
                stream.set_link(link)

    def partition(self, one: str | None = None, other: str | None = None) -> None:
        """Nothing gets from `one` to `other` or back, until `heal`; None is every other host. No end is told; nothing is lost.

        What is sent meanwhile waits at its sender, `Link.buffer_bytes` at most, as with TCP.
        """
        self._partings.append((one, other))
        self._apply_partings()

    def heal(self, one: str | None = None, other: str | None = None) -> None:
        """The end of the partition that was made with the same names; with no name, of all. What had waited arrives."""
        if one is None and other is None:
            self._partings.clear()
        else:
            self._partings = [hosts for hosts in self._partings if set(hosts) != {one, other}]
        self._apply_partings()
        self._healed.unpark_all()

    def _apply_partings(self) -> None:
        for stream in self._streams:
            if self._are_parted(stream.local, stream.remote):
                stream.part()
            else:
                stream.heal()

    def _are_parted(self, one: str, other: str) -> bool:
        return any(a in (None, x) and b in (None, y) for a, b in self._partings for x, y in ((one, other), (other, one)))

    def _ends(self) -> Iterator[SimulatedStream]:
        for stream in self._streams:
            yield from stream.both_ends
