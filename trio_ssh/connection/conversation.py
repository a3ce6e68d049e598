"""The questions that a policy puts to a client in one keyboard-interactive attempt (RFC 4256)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import attrs
import trio

from ..errors import LocalProtocolError, RemoteProtocolError
from ..protocol.auth_attempt import Prompt
from ..protocol.auth_server import Answers, ServerAuthentication
from ..wire.numbers import MessageNumber as M
from .transport import Transport


@attrs.define(eq=False)
class Conversation:
    """`ask` runs in the policy's task, inside `during`. What ends it early cancels the policy, and is here when the policy has ended."""

    machine: ServerAuthentication
    transport: Transport
    messages: trio.MemoryReceiveChannel[bytes]
    superseded_by: bytes | None = None
    """The message that came instead of the answers."""
    breach: RemoteProtocolError | None = None
    """A rule that the client broke; it ends the connection."""
    miscounted: bool = False
    """There were more or fewer answers than questions: the attempt is refused (RFC 4256 §3.4)."""
    _scope: trio.CancelScope | None = None
    """Set while something may be asked."""

    @property
    def is_over(self) -> bool:
        return self.miscounted or self.superseded_by is not None or self.breach is not None

    async def during(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work`, in which something may be asked; returns as well when it was cancelled because the conversation is over."""
        with trio.CancelScope() as scope:
            self._scope = scope
            try:
                await work()
            finally:
                self._scope = None

    async def ask(self, prompts: Sequence[Prompt], name: str, instruction: str) -> tuple[str, ...]:
        """One round. Raises `LocalProtocolError` when it is not its time, or for more than `Limits` allow."""
        scope = self._scope
        if scope is None:
            raise LocalProtocolError("nothing can be asked now: this attempt is over, or another round is not answered yet")
        payload = self.machine.ask(prompts, name, instruction)
        self._scope = None
        self.transport.send_nowait(payload)
        # Cancelled here, the questions are out and nobody waits for the answers: the login is over as well, then.
        answers = self._read(await self.messages.receive())
        if answers is None:
            scope.cancel()
            await trio.lowlevel.checkpoint()
            # The policy has shielded itself: it must not wait for ever either.
            raise LocalProtocolError("the client has given this attempt up, or has not answered as it was asked")
        self._scope = scope
        return answers

    def _read(self, payload: bytes) -> tuple[str, ...] | None:
        """None: the conversation is over."""
        if payload[0] != M.USERAUTH_INFO_RESPONSE:
            self.superseded_by = payload
            return None
        try:
            event = self.machine.read(payload)
        except RemoteProtocolError as error:
            self.breach = error
            return None
        assert isinstance(event, Answers)
        self.miscounted = event.texts is None
        return event.texts
