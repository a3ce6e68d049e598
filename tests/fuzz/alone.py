"""Tasks of ours that a target runs whole: in a trio of their own, on a clock that waits for nobody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import attrs
import trio
from trio.testing import MockClock

from trio_ssh.connection.transport import Transport
from trio_ssh.errors import SSHError

PATIENCE = 10_000
"""Virtual seconds: whatever waits for what never comes is found."""


def run_alone(act: Callable[[], Awaitable[None]]) -> None:
    """To its end; what it raises comes out. Inside `trio.run`, where the fuzzer is, in a thread that waits for it."""

    async def main() -> None:
        with trio.fail_after(PATIENCE):
            await act()

    def run() -> None:
        trio.run(main, clock=MockClock(autojump_threshold=0))

    if trio.lowlevel.in_trio_run():
        with ThreadPoolExecutor(1) as pool:
            pool.submit(run).result()
    else:
        run()


@attrs.define(eq=False)
class Said:
    """Stands for a `Transport`: what the login says, in order."""

    payloads: list[bytes] = attrs.field(factory=list)

    def send_nowait(self, payload: bytes) -> None:
        self.payloads.append(payload)

    def as_transport(self) -> Transport:
        transport: Any = self
        return transport


def queued(payloads: list[bytes]) -> trio.MemoryReceiveChannel[bytes]:
    """All that the peer says, and then its end."""
    send, receive = trio.open_memory_channel[bytes](len(payloads))
    for payload in payloads:
        send.send_nowait(payload)
    send.close()
    return receive


@attrs.define(eq=False)
class Answering(Said):
    """Likewise, for a client: each message that it says is answered by the next one of `answers`, and by more where those want no reply."""

    answers: list[bytes] = attrs.field(factory=list)
    at_once: bool = False
    """All answers are there before anything was asked."""
    unanswered: frozenset[int] = frozenset()
    """Numbers of messages that nobody replies to: the next answer comes right behind."""
    messages: trio.MemoryReceiveChannel[bytes] = attrs.field(init=False)
    _out: trio.MemorySendChannel[bytes] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._out, self.messages = trio.open_memory_channel[bytes](len(self.answers) + 1)
        if self.at_once:
            while self.answers:
                self._answer()

    def send_nowait(self, payload: bytes) -> None:
        self.payloads.append(payload)
        self._answer()

    def _answer(self) -> None:
        while self.answers:
            payload = self.answers.pop(0)
            self._out.send_nowait(payload)
            if payload[0] not in self.unanswered:
                return
        self._out.close()


@contextmanager
def ending_by(*kinds: type[SSHError]) -> Iterator[None]:
    """What bytes of a peer may make of a login: an error of one of these kinds, or nothing more to read."""
    expected: tuple[type[Exception], ...] = (*kinds, trio.EndOfChannel)
    try:
        yield
    except expected:
        return
