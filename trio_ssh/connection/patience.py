"""How long the peer may keep us waiting in a key exchange.

The first one has so many seconds in all, whatever comes: strangers get no more (hardening RES-02). In a rekey a slow link is no fault of
the peer's: our KEXINIT may stand behind half a megabyte of our own data, and the peer's behind as much of its own. So the seconds begin
when our KEXINIT has left, as long as the peer takes something of what stands before it; and what comes in from then on buys the time that
it takes on a slow link, up to what a peer can have had under way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import attrs
import trio

from ..errors import RemoteProtocolError
from ..wire.numbers import DisconnectReason
from .transport import Transport

T = TypeVar("T")

SLOW_LINK_BYTES_PER_SECOND = 8 * 1024
UNDER_WAY_BYTES_MAX = 1 << 20
LOOKS = 16  # so many times in the time allowed, while our KEXINIT is on its way out


@attrs.define(eq=False)
class Patience:
    """A deadline for the peer, which our own waiting does not count towards. `reason` is what the peer is told when it is over."""

    seconds: float
    what: str
    reason: int | None = DisconnectReason.KEY_EXCHANGE_FAILED
    progress: Progress | None = None
    """None: nothing buys time."""
    _deadline: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._deadline = trio.current_time() + self.seconds

    async def wait(self, receive: Callable[[], Awaitable[T]]) -> T:
        """``await receive()``. Raises `RemoteProtocolError` when the time is over."""
        while True:
            leaving = self.progress is not None and self.progress.leaving()
            look_at = trio.current_time() + self.seconds / LOOKS if leaving else self._deadline
            with trio.move_on_at(min(look_at, self._deadline)):
                return await receive()
            self._look_again(leaving)

    def _look_again(self, leaving: bool) -> None:
        now = trio.current_time()
        if self.progress is not None:
            if leaving and self.progress.has_moved():
                self._deadline = now + self.seconds
            elif now >= self._deadline:
                self._deadline += self.progress.seconds_bought()
        if now >= self._deadline:
            raise RemoteProtocolError(f"the peer did not {self.what} within {self.seconds:g} s", reason=self.reason)

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """What happens in the block takes our time, not the peer's."""
        started = trio.current_time()
        try:
            yield
        finally:
            self._deadline += trio.current_time() - started


@attrs.define(eq=False)
class Progress:
    """What has moved since our KEXINIT was sealed; to be made right behind that."""

    transport: Transport
    bytes_received: Callable[[], int]
    _leaves_at: int = attrs.field(init=False)
    _handed: int = attrs.field(init=False)
    _received: int = attrs.field(init=False)
    _earned: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self._leaves_at, self._handed, self._received = self.transport.bytes_sent, self.transport.bytes_handed, self.bytes_received()

    def leaving(self) -> bool:
        """Does our KEXINIT still stand behind something that the stream has not taken?"""
        return self.transport.bytes_handed < self._leaves_at

    def has_moved(self) -> bool:
        """Has the stream taken anything since this was asked last?"""
        before, self._handed = self._handed, self.transport.bytes_handed
        return self._handed > before

    def seconds_bought(self) -> float:
        """For what came in, as far as it has not been asked for yet."""
        earned = min(self.bytes_received() - self._received, UNDER_WAY_BYTES_MAX) / SLOW_LINK_BYTES_PER_SECOND
        more, self._earned = earned - self._earned, earned
        return more
