"""How long the peer may keep us waiting in a key exchange.

The first one has so many seconds in all, whatever comes: strangers get no more (hardening RES-02). In a rekey a slow link is no fault of
the peer's: our KEXINIT may stand behind half a megabyte of our own data, and the peer's behind as much of its own. So the seconds begin
when our KEXINIT has left, as long as the peer takes something of what stands before it; and what comes in from then on buys the time that
it takes on a slow link, up to what a peer can have had under way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Protocol, TypeVar

import attrs
import trio

from ..errors import RemoteProtocolError
from ..wire.numbers import DisconnectReason
from .transport import Transport

T = TypeVar("T")

SLOW_LINK_BYTES_PER_SECOND = 8 * 1024
UNDER_WAY_BYTES_MAX = 1 << 20
LOOKS = 16  # so many times in the time allowed, while our KEXINIT is on its way out


class Patience(Protocol):
    """A deadline for the peer, which our own waiting does not count towards: ``with`` it around, `wait` within.

    Raises `RemoteProtocolError` when the time is over.
    """

    def __enter__(self) -> Patience: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> bool | None: ...

    async def wait(self, receive: Callable[[], Awaitable[T]]) -> T:
        """``await receive()``."""

    def suspended(self) -> AbstractContextManager[None]:
        """What happens in the block takes our time, not the peer's."""


class Strict:
    """So many seconds in all; one cancel scope for the whole of it."""

    __slots__ = ("_reason", "_scope", "_seconds", "_what")

    def __init__(self, seconds: float, what: str, reason: int | None = DisconnectReason.KEY_EXCHANGE_FAILED) -> None:
        """`reason` is what the peer is told when the time is over."""
        self._seconds, self._what, self._reason = seconds, what, reason
        self._scope = trio.CancelScope(deadline=trio.current_time() + seconds)

    def __enter__(self) -> Strict:
        self._scope.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> bool | None:
        passed = self._scope.__exit__(kind, error, traceback)
        if self._scope.cancelled_caught:
            raise too_slow(self._what, self._seconds, self._reason)
        return passed

    async def wait(self, receive: Callable[[], Awaitable[T]]) -> T:
        """See `Patience.wait`."""
        return await receive()

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """See `Patience.suspended`."""
        left = self._scope.deadline - trio.current_time()
        self._scope.deadline = float("inf")
        try:
            yield
        finally:
            self._scope.deadline = trio.current_time() + left


def too_slow(what: str, seconds: float, reason: int | None) -> RemoteProtocolError:
    return RemoteProtocolError(f"the peer did not {what} within {seconds:g} s", reason=reason)


@attrs.define(eq=False)
class Lenient:
    """For a rekey: `progress` buys time."""

    seconds: float
    what: str
    progress: Progress
    _deadline: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._deadline = trio.current_time() + self.seconds

    def __enter__(self) -> Lenient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        pass

    async def wait(self, receive: Callable[[], Awaitable[T]]) -> T:
        """See `Patience.wait`."""
        while True:
            leaving = self.progress.leaving()
            look_at = trio.current_time() + self.seconds / LOOKS if leaving else self._deadline
            with trio.move_on_at(min(look_at, self._deadline)):
                return await receive()
            self._look_again(leaving)

    def _look_again(self, leaving: bool) -> None:
        now = trio.current_time()
        if leaving and self.progress.has_moved():
            self._deadline = now + self.seconds
        elif now >= self._deadline:
            self._deadline += self.progress.seconds_bought()
        if now >= self._deadline:
            raise too_slow(self.what, self.seconds, DisconnectReason.KEY_EXCHANGE_FAILED)

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """See `Patience.suspended`."""
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
