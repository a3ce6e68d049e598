"""`watched`: every connection that begins in the block is monitored, wherever in the program it is made.

The monitors sit between a connection and its sealer and opener (`connection.tap`), where both directions pass in clear and above
compression. What they find is kept and raised when the block ends: an exception in the middle of a packet would be one fault more, and
might be contained by the very code that is at fault.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import attrs

from ..connection.tap import TAP
from ..crypto.packet_key import SealingKey
from ..errors import DecodeError
from ..protocol.opener import Opener, Sink
from ..protocol.role import Role
from ..protocol.sealer import Sealer
from ..wire.numbers import MessageNumber as M
from .monitor import InvariantBroken, ProtocolMonitor


@attrs.define(eq=False)
class Watch:
    """What `watched` gives: the breaches found so far, in order, and a monitor for each end that lives."""

    breaches: list[InvariantBroken | DecodeError] = attrs.field(factory=list, init=False)
    _monitors: list[weakref.ref[ProtocolMonitor]] = attrs.field(factory=list, init=False)

    @property
    def monitors(self) -> list[ProtocolMonitor]:
        """Of the ends that live, oldest first. They go with their connections: a test may make many, and count its memory."""
        return [monitor for reference in self._monitors if (monitor := reference()) is not None]

    def check(self) -> None:
        """Raises the first breach."""
        if self.breaches:
            raise self.breaches[0]

    @property
    def is_owing(self) -> bool:
        """Does a peer of a watched end wait for something that it must get?"""
        return any(monitor.owed for monitor in self.monitors)

    def check_settled(self) -> None:
        """While connections live and nothing is under way: `check`, and that nothing is owed to the peers."""
        self.check()
        for monitor in self.monitors:
            monitor.check_settled()

    def _tell(self, tell: Callable[..., None], *arguments: object) -> None:
        """Tell a monitor; keep the breach if it finds one."""
        try:
            tell(*arguments)
        except (InvariantBroken, DecodeError) as error:
            self.breaches.append(error)

    @contextmanager
    def tapping(self) -> Iterator[None]:
        """Connections begun in the block, or in a task that it starts, are watched; whoever watched before goes on."""
        outer = TAP.get()

        def tap(role: Role, sealer: Sealer, opener: Opener) -> tuple[Sealer, Opener]:
            return self._tap(role, sealer, opener) if outer is None else self._tap(role, *outer(role, sealer, opener))

        TAP.set(tap)
        try:
            yield
        finally:
            TAP.set(outer)

    def _tap(self, role: Role, sealer: Sealer, opener: Opener) -> tuple[Sealer, Opener]:
        """What the connection is to use in place of these two."""
        monitor = ProtocolMonitor(role)
        self._monitors = [*(reference for reference in self._monitors if reference() is not None), weakref.ref(monitor)]
        sealing, opening = _StandIn(sealer, self._sealing(sealer, monitor)), _StandIn(opener, self._opening(opener, monitor))
        return cast(Sealer, sealing), cast(Opener, opening)  # nobody asks for their class

    def handler_ran(self, what: str) -> None:
        """A handler was called by the server's side, the first that is watched: P10."""
        self._tell(next(monitor for monitor in self.monitors if monitor.role is Role.SERVER).handler_ran, what)

    def _sealing(self, sealer: Sealer, monitor: ProtocolMonitor) -> dict[str, Any]:
        """What seals tells the monitor behind it: a packet that the gate refuses has not been sent."""

        def seal(payload: bytes) -> None:
            number = sealer.sequence_number
            sealer.seal(payload)
            self._tell(monitor.packet_sealed, number)
            self._tell(monitor.sent, payload)

        def seal_channel_data(recipient_channel: int, data: memoryview, offset: int, size: int) -> None:
            number = sealer.sequence_number
            sealer.seal_channel_data(recipient_channel, data, offset, size)
            self._tell(monitor.packet_sealed, number)
            self._tell(monitor.sent_data, M.CHANNEL_DATA, recipient_channel, size)

        def seal_extended_data(recipient_channel: int, data_type: int, data: memoryview, offset: int, size: int) -> None:
            number = sealer.sequence_number
            sealer.seal_extended_data(recipient_channel, data_type, data, offset, size)
            self._tell(monitor.packet_sealed, number)
            self._tell(monitor.sent_data, M.CHANNEL_EXTENDED_DATA, recipient_channel, size)

        def switch_keys(key: SealingKey, *rest: Any, **options: Any) -> None:
            sealer.switch_keys(key, *rest, **options)
            self._tell(monitor.key_installed, key)

        return {
            "seal": seal,
            "seal_channel_data": seal_channel_data,
            "seal_extended_data": seal_extended_data,
            "switch_keys": switch_keys,
        }

    def _opening(self, opener: Opener, monitor: ProtocolMonitor) -> dict[str, Any]:
        """What is opened tells the monitor before anybody acts on it."""

        def open_batch(sink: Sink) -> bool:
            def watching_sink(view: memoryview, start: int, end: int) -> bool:
                if view[start] == M.CHANNEL_DATA:
                    monitor.received_data()
                else:
                    self._tell(monitor.received, bytes(view[start:end]))
                return sink(view, start, end)

            return opener.open_batch(watching_sink)

        return {"open_batch": open_batch}


@contextmanager
def watched() -> Iterator[Watch]:
    """``with watched() as watch:`` each connection begun in the block, or in a task that it starts, has a `ProtocolMonitor`.

    A breach of P1 to P9 by an end of the library's raises `InvariantBroken` when the block ends, even if the block fails itself.
    """
    watch = Watch()
    try:
        with watch.tapping():
            yield watch
    finally:
        watch.check()


class _StandIn:
    """Everything that is not in `instead` is the original's, to read and to write."""

    __slots__ = ("_inner", "_instead")

    def __init__(self, inner: object, instead: dict[str, Any]) -> None:
        object.__setattr__(self, "_inner", inner)
        object.__setattr__(self, "_instead", instead)

    def __getattr__(self, name: str) -> Any:
        instead = self._instead.get(name)
        return instead if instead is not None else getattr(self._inner, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._inner, name, value)
