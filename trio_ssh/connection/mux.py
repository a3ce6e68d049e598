"""`Mux`: the table of channels and the dispatch of messages 80-127 (RFC 4254).

It exists only behind a successful authentication. `receive` is called by the reader, once a message, and never waits; CHANNEL_DATA is
tested first and goes from the receive buffer into the channel's inbox in one copy. Whatever is for a channel is judged by that channel's
state table before anything acts on it.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Collection

import attrs
import trio

from ..errors import ChannelOpenFailure, DecodeError, RemoteProtocolError, RequestDenied, SSHError
from ..protocol.limits import Limits
from ..wire.codec import decode, encode
from ..wire.connection import (
    ChannelClose,
    ChannelEof,
    ChannelFailure,
    ChannelOpen,
    ChannelOpenConfirmation,
    ChannelOpenFailureMessage,
    ChannelRequest,
    ChannelSuccess,
    ChannelWindowAdjust,
    GlobalRequest,
    RequestFailure,
    RequestSuccess,
)
from ..wire.numbers import MessageNumber as M
from ..wire.numbers import OpenFailureReason
from .channel import Channel
from .channel_table import ChannelTable
from .events import ChannelClosed, ChannelOpened, Observer
from .incoming import KNOWN_CHANNEL_TYPES, IncomingChannel, OpenHandler, refuse_open
from .replies import ReplyQueue, wait_reply
from .transport import Transport, lost

_unpack_data_head = struct.Struct(">BII").unpack_from
_unpack_extended_data_head = struct.Struct(">BIII").unpack_from

KEEPALIVE = encode(GlobalRequest("keepalive@openssh.com", True))

NO_MORE_SESSIONS = "no-more-sessions@openssh.com"
"""OpenSSH PROTOCOL §2.2: whoever takes over the client from here on can open no shell."""

GlobalRequestHandler = Callable[[str, bytes], bytes | None]
"""``handler(request_name, request_fields)``, called by the reader: the answer's payload, or None to refuse."""


def refuse_global_request(request_name: str, request_fields: bytes) -> bytes | None:
    return None


@attrs.define(eq=False)
class _Opening:
    """A CHANNEL_OPEN of ours without an answer yet. An `abandoned` one is closed when the answer is yes."""

    channel: Channel
    answered: trio.Event = attrs.field(factory=trio.Event)
    failure: SSHError | None = None
    abandoned: bool = False


class Mux:
    """One connection's channels. `incoming_types` are those a peer may open; `on_open` is told of each, in the reader's task."""

    __slots__ = (
        "_limits",
        "_no_more_sessions",
        "_observer",
        "_opening",
        "_table",
        "_transport",
        "_undecided",
        "channels",
        "incoming_types",
        "on_global_request",
        "on_open",
        "replies",
    )

    def __init__(
        self, transport: Transport, limits: Limits, observer: Observer | None = None, incoming_types: Collection[str] = ()
    ) -> None:
        self._transport = transport
        self._limits = limits
        self._observer = observer
        self._table = ChannelTable(transport, limits)
        self._opening: dict[int, _Opening] = {}
        self._undecided = 0
        self._no_more_sessions = False
        self.incoming_types = frozenset(incoming_types)
        self.channels = self._table.channels
        self.replies = ReplyQueue()
        self.on_global_request: GlobalRequestHandler = refuse_global_request
        self.on_open: OpenHandler = refuse_open

    # -- opening -----------------------------------------------------------------------------------------------------------------

    async def open_channel(
        self, channel_type: str, type_fields: bytes = b"", *, prepare: Callable[[Channel], None] | None = None
    ) -> Channel:
        """Ask the peer for a channel. Raises `ChannelOpenFailure` or `ConnectionLost`.

        Cancelled, its number stays taken until the answer comes; a channel that is granted then is closed at once.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        await self._transport.wait_uncrowded()
        if self._transport.cause is not None:
            raise lost(self._transport.cause)
        channel = self._table.add(channel_type)
        if channel is None:
            raise ChannelOpenFailure(OpenFailureReason.RESOURCE_SHORTAGE, "our own limit of channels or windows is reached")
        if prepare is not None:
            prepare(channel)
        opening = self._opening[channel.number] = _Opening(channel)
        # From here to the answer the number is reserved, whoever is cancelled.
        self._transport.send_nowait(
            encode(
                ChannelOpen(
                    channel_type, channel.number, channel.receive_window.size, self._limits.channel_packet_bytes, type_fields
                )
            )
        )
        try:
            await opening.answered.wait()
        except trio.Cancelled:
            self._abandon(opening)
            raise
        if opening.failure is not None:
            raise opening.failure if isinstance(opening.failure, ChannelOpenFailure) else lost(opening.failure)
        return channel

    def _abandon(self, opening: _Opening) -> None:
        opening.abandoned = True
        if opening.answered.is_set():
            opening.channel.close_nowait()
            self._forget_if_over(opening.channel)

    def _forget_if_over(self, channel: Channel) -> None:
        """Both sides have closed: its number and its window are free again."""
        if channel.state.is_over and self._table.remove(channel):
            self._table.peer_numbers.discard(channel.outlet.recipient)
            if self._observer is not None:
                self._observer(ChannelClosed(channel.channel_type, channel.number))

    def _opened(self, channel: Channel, recipient: int, window: int, packet_bytes_max: int, *, by_peer: bool) -> None:
        channel.outlet.opened(recipient, window, packet_bytes_max)
        channel.state.opened()
        self._table.peer_numbers.add(recipient)
        if self._observer is not None:
            self._observer(ChannelOpened(channel.channel_type, channel.number, by_peer))

    # -- the peer opens ----------------------------------------------------------------------------------------------------------

    def _receive_open(self, payload: bytes) -> None:
        wanted = decode(ChannelOpen, payload)
        if wanted.sender_channel in self._table.peer_numbers:
            raise RemoteProtocolError(f"the peer opened a channel with its number {wanted.sender_channel}, which is in use")
        if wanted.channel_type == "session":
            self._check_session(wanted)
        reason, why = self._objection(wanted)
        if reason is not None:
            self.refuse_channel(wanted.sender_channel, reason, why)
            return
        self._undecided += 1
        self._table.peer_numbers.add(wanted.sender_channel)
        self.on_open(IncomingChannel(wanted, self.accept_channel, self.refuse_channel))

    def _check_session(self, wanted: ChannelOpen) -> None:
        if wanted.type_fields:
            raise RemoteProtocolError("bytes follow the last field of the peer's open of a session (RFC 4254 §6.1)")
        if self._no_more_sessions:
            raise RemoteProtocolError("the peer opened a session after it had said that it would open no more")

    def _objection(self, wanted: ChannelOpen) -> tuple[OpenFailureReason | None, str]:
        if wanted.channel_type not in self.incoming_types:
            if wanted.channel_type in KNOWN_CHANNEL_TYPES:
                return OpenFailureReason.ADMINISTRATIVELY_PROHIBITED, "channels of this type are not taken here"
            return OpenFailureReason.UNKNOWN_CHANNEL_TYPE, "unknown channel type"
        if wanted.maximum_packet_size == 0:
            return OpenFailureReason.CONNECT_FAILED, "a maximum packet size of 0 lets nothing through"
        if wanted.channel_type == "session" and self._table.sessions() + self._undecided >= self._limits.sessions:
            return OpenFailureReason.RESOURCE_SHORTAGE, f"no more than {self._limits.sessions} sessions on one connection"
        if self._undecided >= self._limits.request_backlog:
            return OpenFailureReason.RESOURCE_SHORTAGE, "too many channels wait to be opened"
        if len(self.channels) + self._undecided >= self._limits.channels:
            return OpenFailureReason.RESOURCE_SHORTAGE, f"no more than {self._limits.channels} channels on one connection"
        return None, ""

    def accept_channel(self, wanted: ChannelOpen, prepare: Callable[[Channel], None] | None) -> Channel:
        """See `IncomingChannel.accept`."""
        if self._transport.cause is not None:
            raise lost(self._transport.cause)
        channel = self._table.add(wanted.channel_type)
        if channel is None:
            self.refuse_channel(wanted.sender_channel, OpenFailureReason.RESOURCE_SHORTAGE, "all receive windows are given away")
            raise ChannelOpenFailure(OpenFailureReason.RESOURCE_SHORTAGE, "all receive windows are given away")
        self._undecided -= 1
        if prepare is not None:
            prepare(channel)
        self._opened(channel, wanted.sender_channel, wanted.initial_window_size, wanted.maximum_packet_size, by_peer=True)
        self._transport.send_reply_nowait(
            encode(
                ChannelOpenConfirmation(
                    wanted.sender_channel, channel.number, channel.receive_window.size, self._limits.channel_packet_bytes
                )
            )
        )
        return channel

    def refuse_channel(self, sender_channel: int, reason: OpenFailureReason, description: str) -> None:
        """See `IncomingChannel.refuse`."""
        if sender_channel in self._table.peer_numbers:
            self._table.peer_numbers.discard(sender_channel)
            self._undecided -= 1
        if self._transport.cause is None:
            self._transport.send_reply_nowait(encode(ChannelOpenFailureMessage(sender_channel, reason, description)))

    # -- global requests ---------------------------------------------------------------------------------------------------------

    async def request(self, request_name: str, request_fields: bytes = b"") -> bytes:
        """Ask and wait for the answer's payload (RFC 4254 §4). Raises `RequestDenied` or `ConnectionLost`."""
        await trio.lowlevel.checkpoint_if_cancelled()
        await self._transport.wait_uncrowded()
        self._transport.send_nowait(encode(GlobalRequest(request_name, True, request_fields)))
        return await wait_reply(self.replies.place(), f"the {request_name} request")

    async def probe(self) -> None:
        """A question that any peer answers, by a refusal as well as by a success."""
        await trio.lowlevel.checkpoint_if_cancelled()
        self._transport.send_nowait(KEEPALIVE)
        with contextlib.suppress(RequestDenied):
            await wait_reply(self.replies.place(), "the keepalive question")

    # -- dispatch: called by the reader ------------------------------------------------------------------------------------------

    def receive(self, view: memoryview, start: int, end: int) -> None:
        """HOT PATH. One message of 80-127 at ``view[start:end]``."""
        number = view[start]
        if number == 94 and end - start >= 9:
            _, recipient, size = _unpack_data_head(view, start)
            channel = self.channels.get(recipient)
            if channel is not None and channel.state.data_in and size == end - start - 9:
                window = channel.receive_window
                window.credit -= size
                if window.credit < 0 or size > self._limits.channel_packet_bytes:
                    window.consume(0)
                    channel.check_packet(size)
                if size:
                    channel.inbox.append(view[start + 9 : end])
                return
        if number in (M.CHANNEL_DATA, M.CHANNEL_EXTENDED_DATA):
            self._receive_other_data(number, view[start:end])
        else:
            self._receive_small(number, bytes(view[start:end]))

    def _receive_other_data(self, number: int, payload: memoryview) -> None:
        """Extended data, and plain data that is not to be taken."""
        unpack, head = (_unpack_data_head, 9) if number == M.CHANNEL_DATA else (_unpack_extended_data_head, 13)
        if len(payload) < head:
            raise DecodeError("a channel data message is cut off")
        fields = unpack(payload)
        recipient, size = fields[1], fields[-1]
        if size != len(payload) - head:
            raise DecodeError(f"a channel data message says it has {size} bytes, but {len(payload) - head} follow")
        channel = self._table.expect(recipient, number)
        if not channel.state.received(number):
            return  # behind our CLOSE (hardening SM-148)
        channel.check_packet(size)
        channel.receive_extended_data(fields[2], payload[head:])

    def _receive_small(self, number: int, payload: bytes) -> None:
        handler = _HANDLERS.get(number)
        if handler is None:
            raise RemoteProtocolError(f"message {number} is not one of the connection protocol")
        handler(self, payload)

    def _receive_confirmation(self, payload: bytes) -> None:
        message = decode(ChannelOpenConfirmation, payload)
        channel = self._table.expect(message.recipient_channel, payload[0])
        channel.state.received(payload[0])
        if message.sender_channel in self._table.peer_numbers:
            raise RemoteProtocolError(f"the peer confirmed a channel with its number {message.sender_channel}, which is in use")
        opening = self._opening.pop(channel.number)
        self._opened(channel, message.sender_channel, message.initial_window_size, message.maximum_packet_size, by_peer=False)
        if opening.abandoned:
            channel.close_nowait()
        elif message.maximum_packet_size == 0:
            opening.failure = ChannelOpenFailure(2, "the peer takes packets of 0 bytes only")
            channel.close_nowait()
        opening.answered.set()

    def _receive_open_failure(self, payload: bytes) -> None:
        message = decode(ChannelOpenFailureMessage, payload)
        channel = self._table.expect(message.recipient_channel, payload[0])
        channel.state.received(payload[0])
        opening = self._opening.pop(channel.number)
        opening.failure = ChannelOpenFailure(message.reason_code, message.description)
        channel.state.refused()
        channel.outlet.closed = True
        channel.ended.set()
        self._table.remove(channel)
        opening.answered.set()

    def _receive_adjust(self, payload: bytes) -> None:
        message = decode(ChannelWindowAdjust, payload)
        channel = self.channels.get(message.recipient_channel)
        if channel is not None and channel.state.received(payload[0]):  # for a freed number it raced with our close: SM-129
            channel.outlet.adjust(message.bytes_to_add)

    def _receive_eof(self, payload: bytes) -> None:
        channel = self._table.expect(decode(ChannelEof, payload).recipient_channel, payload[0])
        if channel.state.received(payload[0]):
            channel.receive_eof()

    def _receive_close(self, payload: bytes) -> None:
        channel = self._table.expect(decode(ChannelClose, payload).recipient_channel, payload[0])
        channel.state.received(payload[0])
        channel.receive_close()
        self._forget_if_over(channel)

    def _receive_request(self, payload: bytes) -> None:
        message = decode(ChannelRequest, payload)
        channel = self._table.expect(message.recipient_channel, payload[0])
        if channel.state.received(payload[0]):
            channel.receive_request(message)

    def _receive_reply(self, payload: bytes) -> None:
        success = payload[0] == M.CHANNEL_SUCCESS
        recipient = decode(ChannelSuccess, payload).recipient_channel if success else decode(ChannelFailure, payload).recipient_channel
        channel = self.channels.get(recipient)
        if channel is not None and channel.state.received(payload[0]):  # for a freed number: SM-130
            channel.replies.answer(success)

    def _receive_global_request(self, payload: bytes) -> None:
        message = decode(GlobalRequest, payload)
        if message.request_name == NO_MORE_SESSIONS and "session" in self.incoming_types:
            self._no_more_sessions = True
            answer: bytes | None = b""
        else:
            answer = self.on_global_request(message.request_name, message.request_fields)
        if message.want_reply:
            self._transport.send_reply_nowait(encode(RequestFailure() if answer is None else RequestSuccess(answer)))

    def _receive_global_reply(self, payload: bytes) -> None:
        if payload[0] == M.REQUEST_SUCCESS:
            self.replies.answer(True, decode(RequestSuccess, payload).response)
        else:
            decode(RequestFailure, payload)
            self.replies.answer(False)

    # -- the end -----------------------------------------------------------------------------------------------------------------

    def fail(self, cause: SSHError) -> None:
        """The connection is gone: every wait on every channel ends."""
        for opening in self._opening.values():
            opening.failure = cause
            opening.answered.set()
        self._opening.clear()
        for channel in list(self.channels.values()):
            channel.fail(cause)
        self.channels.clear()
        self.replies.fail(cause)


_HANDLERS: dict[int, Callable[[Mux, bytes], None]] = {
    M.GLOBAL_REQUEST: Mux._receive_global_request,
    M.REQUEST_SUCCESS: Mux._receive_global_reply,
    M.REQUEST_FAILURE: Mux._receive_global_reply,
    M.CHANNEL_OPEN: Mux._receive_open,
    M.CHANNEL_OPEN_CONFIRMATION: Mux._receive_confirmation,
    M.CHANNEL_OPEN_FAILURE: Mux._receive_open_failure,
    M.CHANNEL_WINDOW_ADJUST: Mux._receive_adjust,
    M.CHANNEL_EOF: Mux._receive_eof,
    M.CHANNEL_CLOSE: Mux._receive_close,
    M.CHANNEL_REQUEST: Mux._receive_request,
    M.CHANNEL_SUCCESS: Mux._receive_reply,
    M.CHANNEL_FAILURE: Mux._receive_reply,
}
