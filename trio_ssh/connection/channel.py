"""`Channel`: one stream of many over a connection (RFC 4254 §5).

It is a `trio.abc.HalfCloseableStream`. Its sending half is an `Outlet`, what comes in lies in an `Inbox` (and another one for stderr,
where somebody wants it); both halves share the connection's `Transport`, and the `Mux` calls `receive_*` from the reader's task. Closing
queues CLOSE at once and waits for the peer's; the number is free again when both have been seen.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from ..errors import RemoteProtocolError, SSHError
from ..protocol.channel_state import ChannelState, Side
from ..protocol.flow_window import ReceiveWindow
from ..protocol.limits import Limits
from ..wire.codec import encode
from ..wire.connection import ChannelFailure, ChannelRequest, ChannelSuccess, ChannelWindowAdjust
from ..wire.numbers import STDERR
from .exclusive import Exclusive
from .inbox import End, Inbox
from .outlet import Outlet, closed_before_answer
from .replies import ReplyQueue, wait_reply
from .transport import Transport, lost

RequestHandler = Callable[[str, bytes], bool]
"""``handler(request_type, request_fields)``, called by the reader: synchronous, True for "done"."""


def refuse_request(request_type: str, request_fields: bytes) -> bool:
    """The answer to what nobody handles."""
    return False


class Channel(trio.abc.HalfCloseableStream):
    """Made by `Mux.open_channel` or `IncomingChannel.accept`, never directly."""

    __slots__ = (
        "_limits",
        "_sending",
        "_sending_stderr",
        "_transport",
        "_when_ended",
        "channel_type",
        "ended",
        "inbox",
        "number",
        "on_request",
        "outlet",
        "receive_window",
        "replies",
        "state",
        "stderr_inbox",
    )

    def __init__(self, transport: Transport, limits: Limits, channel_type: str, number: int, window: int) -> None:
        self._transport = transport
        self._limits = limits
        self._sending = Exclusive("another task is already sending on this channel")
        self._sending_stderr = Exclusive("another task is already sending stderr on this channel")
        self._when_ended: list[Callable[[], None]] = []
        self.channel_type = channel_type
        self.number = number
        self.state = ChannelState(Side.OPENING, Side.OPENING)
        self.outlet = Outlet(transport, self.state, limits)
        self.receive_window = ReceiveWindow.of(window)
        self.inbox = Inbox(self._give_back)
        self.stderr_inbox: Inbox | None = None
        self.replies = ReplyQueue()
        self.on_request: RequestHandler = refuse_request
        self.ended = trio.Event()
        """Set when the peer has closed the channel or the connection is gone: nothing more will come."""

    def __repr__(self) -> str:
        return f"<Channel {self.number} {self.channel_type!r} ours {self.state.ours.value} theirs {self.state.theirs.value}>"

    # -- the stream --------------------------------------------------------------------------------------------------------------

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Raises `trio.BrokenResourceError` when the peer or the connection is gone. Cancelled, a beginning of `data` may be sent."""
        with self._sending:
            await self.outlet.send(data)

    async def send_stderr(self, data: bytes | bytearray | memoryview) -> None:
        """Extended data of type stderr; it shares the window with `send_all`, and may run beside it."""
        with self._sending_stderr:
            await self.outlet.send(data, STDERR)

    async def wait_send_all_might_not_block(self) -> None:
        with self._sending:
            await self.outlet.wait_writable()

    async def send_eof(self) -> None:
        with self._sending:
            await trio.lowlevel.checkpoint_if_cancelled()
            if self.outlet.closed or self.state.ours is Side.OPEN:
                self.outlet.check()
            await trio.lowlevel.checkpoint()
            self.end_output_nowait()

    def end_output_nowait(self) -> None:
        """EOF, unless it was said before or there is nobody to say it to."""
        if self._transport.cause is None:
            self.outlet.send_eof_nowait()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """b"" only after the peer's EOF or CLOSE: a connection that broke raises `trio.BrokenResourceError`."""
        return await self.inbox.receive_some(max_bytes)

    async def aclose(self) -> None:
        """CLOSE leaves at once; the peer's is waited for, `channel_linger_seconds` at most. Cancelled, the CLOSE has left all the same."""
        self.close_nowait()
        if self.ended.is_set():
            await trio.lowlevel.checkpoint()
            return
        with trio.move_on_after(self._limits.channel_linger_seconds):
            await self.ended.wait()

    def close_nowait(self) -> None:
        """`aclose` without waiting for the peer's CLOSE."""
        if self.outlet.closed:
            return
        self.outlet.closed = True
        if self.state.ours is not Side.OPENING:
            self.outlet.send_close_nowait()
        self.outlet.interrupt()
        self.inbox.finish(End.CLOSED)
        if self.stderr_inbox is not None:
            self.stderr_inbox.finish(End.CLOSED)

    # -- requests ----------------------------------------------------------------------------------------------------------------

    async def request(self, request_type: str, request_fields: bytes = b"", *, then: Callable[[], None] | None = None) -> None:
        """Ask and wait for the answer; `then()` can send more behind the question, in the same batch.

        Raises `RequestDenied`, `ConnectionLost`, or what a stream raises when it cannot send.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        self._check_alive()
        await self._transport.wait_uncrowded()
        self._check_alive()
        self._transport.send_nowait(encode(ChannelRequest(self.outlet.recipient, request_type, True, request_fields)))
        reply = self.replies.place()
        if then is not None:
            then()
        await wait_reply(reply, f"the {request_type} request")

    def request_nowait(self, request_type: str, request_fields: bytes = b"") -> None:
        """Tell, without wanting an answer. Nothing is sent on a channel that is closing."""
        if self.state.ours in (Side.OPEN, Side.EOF) and self._transport.cause is None:
            self._transport.send_nowait(encode(ChannelRequest(self.outlet.recipient, request_type, False, request_fields)))

    def _check_alive(self) -> None:
        if self.outlet.closed or self.state.theirs is Side.CLOSED or self._transport.cause is not None:
            self.outlet.check()

    # -- called by the mux, in the reader's task ---------------------------------------------------------------------------------

    def receive_extended_data(self, data_type: int, data: memoryview) -> None:
        """Stderr where somebody wants it. What nobody wants gives its window back at once (hardening SM-139, C08)."""
        self.receive_window.consume(len(data))
        if data_type == STDERR and self.stderr_inbox is not None:
            self.stderr_inbox.append(data)
        else:
            self._give_back(len(data))

    def receive_request(self, message: ChannelRequest) -> None:
        done = self.on_request(message.request_type, message.request_fields)
        # The handler may have closed the channel: behind our CLOSE nothing is sent.
        if message.want_reply and self.state.ours is not Side.CLOSED:
            answer = ChannelSuccess(self.outlet.recipient) if done else ChannelFailure(self.outlet.recipient)
            self._transport.send_reply_nowait(encode(answer))

    def receive_eof(self) -> None:
        self._finish_inboxes(End.EOF, None)

    def receive_close(self) -> None:
        """The peer's CLOSE; ours answers it if it has not left yet."""
        self._finish_inboxes(End.EOF, None)
        self.outlet.send_close_nowait()
        self.outlet.wake()
        self.replies.fail(closed_before_answer())
        self._end()

    def fail(self, cause: SSHError) -> None:
        """The connection is gone."""
        self._finish_inboxes(End.BROKEN, cause)
        self.outlet.wake()
        self.replies.fail(cause)
        self._end()

    def _end(self) -> None:
        self.ended.set()
        for tell in self._when_ended:
            tell()

    def when_ended(self, tell: Callable[[], None]) -> None:
        """Call `tell()`, from the reader's task, when `ended` is set; at once if it is."""
        if self.ended.is_set():
            tell()
        else:
            self._when_ended.append(tell)

    def raise_if_lost(self, *, unless: bool = False) -> None:
        """Raises `ConnectionLost` if the connection ended before the peer closed this channel, `unless` all is known that was wanted."""
        if not unless and self.state.theirs is not Side.CLOSED and self._transport.cause is not None:
            raise lost(self._transport.cause)

    def _finish_inboxes(self, end: End, cause: SSHError | None) -> None:
        self.inbox.finish(end, cause)
        if self.stderr_inbox is not None:
            self.stderr_inbox.finish(end, cause)

    def _give_back(self, size: int) -> None:
        """The application took `size` bytes."""
        given = self.receive_window.release(size)
        if given and self.state.theirs is Side.OPEN and self.state.ours is not Side.CLOSED and self._transport.cause is None:
            self._transport.send_nowait(encode(ChannelWindowAdjust(self.outlet.recipient, given)))

    # -- stderr ------------------------------------------------------------------------------------------------------------------

    def keep_stderr(self, *, merged: bool = False) -> Inbox:
        """From now on stderr is kept: in an inbox of its own, or merged into the main one. To be called before any can come."""
        self.stderr_inbox = self.inbox if merged else Inbox(self._give_back)
        return self.stderr_inbox

    def check_packet(self, size: int) -> None:
        """One data packet of the peer."""
        if size > self._limits.channel_packet_bytes:
            raise RemoteProtocolError(
                f"the peer sent a data packet of {size} bytes; the channel takes {self._limits.channel_packet_bytes} (RFC 4254 §5.2)"
            )
