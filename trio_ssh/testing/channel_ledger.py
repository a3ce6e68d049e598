"""`ChannelLedger`: the monitor's books of one end's channels, kept from the messages alone (RFC 4254 §5; hardening P6, P7, P8)."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from ..wire.codec import decode
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
)
from ..wire.numbers import MessageNumber as M
from ..wire.numbers import message_name

Breach = Callable[[str, str], None]
"""``breach(invariant, what)``: does not return when the monitor raises."""


@attrs.define(eq=False)
class _Account:
    """An open channel. `ours` and `theirs` are its numbers; `credit` and `packet_bytes_max` bound what our end sends."""

    ours: int
    theirs: int
    credit: int
    packet_bytes_max: int
    sent_eof: bool = False
    sent_close: bool = False
    received_close: bool = False
    questions: int = 0
    """Requests of the peer's that want an answer and have none."""


@attrs.define(eq=False)
class ChannelLedger:
    """What our end may send on which channel now. The peer's mistakes are left to our end: only what it sends is judged."""

    _breach: Breach
    _opening: set[int] = attrs.field(factory=set)
    """Ours, that the peer has not answered."""
    _asked: dict[int, ChannelOpen] = attrs.field(factory=dict)
    """The peer's, by its number, that our end has not answered."""
    _by_ours: dict[int, _Account] = attrs.field(factory=dict)
    _by_theirs: dict[int, _Account] = attrs.field(factory=dict)
    _global_questions: int = 0

    def unanswered_closes(self) -> list[int]:
        """Our numbers of the channels that the peer has closed and our end has not."""
        return [number for number, account in self._by_ours.items() if account.received_close and not account.sent_close]

    # -- received ----------------------------------------------------------------------------------------------------------------

    def received(self, payload: bytes) -> None:
        """A message of 80-100. Raises `DecodeError` for what is none; the books are as before then."""
        number = payload[0]
        if number == M.GLOBAL_REQUEST:
            self._global_questions += decode(GlobalRequest, payload).want_reply
        elif number == M.CHANNEL_OPEN:
            wanted = decode(ChannelOpen, payload)
            self._asked[wanted.sender_channel] = wanted
        elif number == M.CHANNEL_OPEN_CONFIRMATION:
            answer = decode(ChannelOpenConfirmation, payload)
            if answer.recipient_channel in self._opening:
                self._opening.discard(answer.recipient_channel)
                self._open(answer.recipient_channel, answer.sender_channel, answer.initial_window_size, answer.maximum_packet_size)
        elif number == M.CHANNEL_OPEN_FAILURE:
            self._opening.discard(decode(ChannelOpenFailureMessage, payload).recipient_channel)
        elif number == M.CHANNEL_WINDOW_ADJUST:
            message = decode(ChannelWindowAdjust, payload)
            if account := self._by_ours.get(message.recipient_channel):
                account.credit += message.bytes_to_add
        elif number == M.CHANNEL_REQUEST:
            request = decode(ChannelRequest, payload)
            if account := self._by_ours.get(request.recipient_channel):
                account.questions += request.want_reply
        elif number == M.CHANNEL_CLOSE and (account := self._by_ours.get(decode(ChannelClose, payload).recipient_channel)):
            account.received_close = True
            self._forget_if_over(account)

    def _open(self, ours: int, theirs: int, credit: int, packet_bytes_max: int) -> None:
        account = _Account(ours, theirs, credit, packet_bytes_max)
        self._by_ours[ours] = self._by_theirs[theirs] = account

    def _forget_if_over(self, account: _Account) -> None:
        if account.sent_close and account.received_close:
            del self._by_ours[account.ours]
            self._by_theirs.pop(account.theirs, None)

    # -- sent --------------------------------------------------------------------------------------------------------------------

    def sent(self, payload: bytes) -> None:
        """A message of 80-100 but for data, which comes by `sent_data`."""
        number = payload[0]
        if number in (M.REQUEST_SUCCESS, M.REQUEST_FAILURE):
            self._global_questions -= 1
            if self._global_questions < 0:
                self._breach("P7", "an answer to a global request that was not made, or was answered before")
        elif number == M.CHANNEL_OPEN:
            self._sent_open(decode(ChannelOpen, payload).sender_channel)
        elif number == M.CHANNEL_OPEN_CONFIRMATION:
            answer = decode(ChannelOpenConfirmation, payload)
            if wanted := self._answered_open(answer.recipient_channel):
                self._open(answer.sender_channel, answer.recipient_channel, wanted.initial_window_size, wanted.maximum_packet_size)
        elif number == M.CHANNEL_OPEN_FAILURE:
            self._answered_open(decode(ChannelOpenFailureMessage, payload).recipient_channel)
        elif handler := _SENT_ON_CHANNEL.get(number):
            kind, act = handler
            if account := self._account(number, decode(kind, payload).recipient_channel):
                act(self, account)

    def sent_data(self, number: int, recipient_channel: int, size: int) -> None:
        """CHANNEL_DATA or CHANNEL_EXTENDED_DATA with so many bytes."""
        account = self._account(number, recipient_channel)
        if account is None:
            return
        account.credit -= size
        if account.sent_eof:
            self._breach("P6", f"data on the peer's channel {recipient_channel} behind our EOF")
        if account.credit < 0:
            self._breach("P8", f"{-account.credit} bytes more than granted on the peer's channel {recipient_channel}")
        if size > account.packet_bytes_max:
            self._breach("P8", f"a packet of {size} bytes for the peer's channel {recipient_channel}: it takes {account.packet_bytes_max}")

    def _sent_open(self, ours: int) -> None:
        if ours in self._by_ours or ours in self._opening:
            self._breach("P6", f"a second channel with our number {ours}, which is not free")
        self._opening.add(ours)

    def _answered_open(self, theirs: int) -> ChannelOpen | None:
        wanted = self._asked.pop(theirs, None)
        if wanted is None:
            self._breach("P7", f"an answer to a CHANNEL_OPEN of channel {theirs} that did not come, or was answered before")
        return wanted

    def _account(self, number: int, theirs: int) -> _Account | None:
        """The channel of a message that our end sends, which must not be closed by it."""
        account = self._by_theirs.get(theirs)
        if account is None or account.sent_close:
            why = "is not open" if account is None else "our end has closed"
            self._breach("P6", f"{message_name(number)} on the peer's channel {theirs}, which {why}")
            return None
        return account

    def _sent_eof(self, account: _Account) -> None:
        if account.sent_eof:
            self._breach("P6", f"a second EOF on the peer's channel {account.theirs}")
        account.sent_eof = True

    def _sent_close(self, account: _Account) -> None:
        account.sent_close = True
        self._forget_if_over(account)

    def _sent_answer(self, account: _Account) -> None:
        account.questions -= 1
        if account.questions < 0:
            self._breach("P7", f"an answer on the peer's channel {account.theirs} to a request not made, or answered before")

    def _sent_other(self, account: _Account) -> None:
        """Adjusts and requests: nothing to keep."""


_SENT_ON_CHANNEL: dict[int, tuple[type, Callable[[ChannelLedger, _Account], None]]] = {
    M.CHANNEL_WINDOW_ADJUST: (ChannelWindowAdjust, ChannelLedger._sent_other),
    M.CHANNEL_EOF: (ChannelEof, ChannelLedger._sent_eof),
    M.CHANNEL_CLOSE: (ChannelClose, ChannelLedger._sent_close),
    M.CHANNEL_REQUEST: (ChannelRequest, ChannelLedger._sent_other),
    M.CHANNEL_SUCCESS: (ChannelSuccess, ChannelLedger._sent_answer),
    M.CHANNEL_FAILURE: (ChannelFailure, ChannelLedger._sent_answer),
}
