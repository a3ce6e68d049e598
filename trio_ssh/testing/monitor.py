"""`ProtocolMonitor`: ten invariants of what one end of a connection sends, checked from its messages in clear (hardening §4.3).

It knows nothing of the library's own state, so that a mistake there does not hide itself. Only what the end sends and does is judged: a
peer may break what it likes, and the end's answer to that must still keep the invariants.
"""

from __future__ import annotations

from collections import deque

import attrs

from ..errors import DecodeError
from ..protocol.role import Role
from ..wire.numbers import MessageNumber as M
from ..wire.numbers import message_name
from .channel_ledger import ChannelLedger

INVARIANTS: dict[str, str] = {
    "P1": "nothing of the connection protocol leaves before USERAUTH_SUCCESS",
    "P2": "no USERAUTH_SUCCESS before NEWKEYS in both directions, and nothing of authentication before our own",
    "P3": "nothing leaves behind DISCONNECT",
    "P4": "at most one USERAUTH_SUCCESS, and the server's",
    "P5": "every KEXINIT is followed by ours and our NEWKEYS, or by the end, and only key exchange leaves between those two",
    "P6": "each CLOSE is answered by exactly one CLOSE, and nothing follows it on its channel",
    "P7": "at most one answer to each request that wants one",
    "P8": "data never exceeds the window and the packet size that the peer has granted",
    "P9": "no sequence number comes twice under one key, and no key twice",
    "P10": "handlers run only behind authentication",
}
REMEMBERED = 24
"""Messages that the text of a breach shows."""
KEYS_REMEMBERED = 4
_DATA = (M.CHANNEL_DATA, M.CHANNEL_EXTENDED_DATA)


class InvariantBroken(AssertionError):
    """Our own end has done what it must never do. `invariant` is its name, ``P1`` to ``P10``."""

    def __init__(self, invariant: str, text: str) -> None:
        super().__init__(text)
        self.invariant = invariant


@attrs.define(eq=False)
class ProtocolMonitor:
    """The books of one end. Feed it each payload in clear, in order; a breach raises `InvariantBroken`.

    `received` must be told before the end acts on the message, `sent` when it is sealed. `role` is that of the end that is watched. A
    message of the end's own that is malformed raises `DecodeError`.
    """

    role: Role
    authenticated: bool = attrs.field(default=False, init=False)
    _recent: deque[str] = attrs.field(factory=lambda: deque(maxlen=REMEMBERED), init=False)
    _channels: ChannelLedger = attrs.field(init=False)
    _keys: deque[object] = attrs.field(factory=lambda: deque(maxlen=KEYS_REMEMBERED), init=False)
    _sequence_number: int | None = attrs.field(default=None, init=False)
    """Of the packet sealed last under the present key."""
    _newkeys_sent: bool = attrs.field(default=False, init=False)
    _newkeys_received: bool = attrs.field(default=False, init=False)
    _in_our_kex: bool = attrs.field(default=False, init=False)
    """Our KEXINIT is out, our NEWKEYS is not."""
    _owes_kex: bool = attrs.field(default=False, init=False)
    """The peer's KEXINIT has come, and our NEWKEYS has not left since."""
    _strict: bool = attrs.field(default=False, init=False)
    _disconnected: bool = attrs.field(default=False, init=False)
    _successes: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._channels = ChannelLedger(self._breach)

    def _breach(self, invariant: str, what: str) -> None:
        shown = " ".join(self._recent)
        raise InvariantBroken(
            invariant, f"{invariant} broken by the {self.role.value}: {what}. The rule: {INVARIANTS[invariant]}. Lately: {shown}"
        )

    # -- messages ----------------------------------------------------------------------------------------------------------------

    def received(self, payload: bytes) -> None:
        """A message has come in and was found whole; nothing has been done about it yet."""
        number = payload[0]
        self._recent.append(f"<{message_name(number)}")
        if number == M.KEXINIT:
            self._owes_kex = True
        elif number == M.NEWKEYS:
            self._newkeys_received = True
        elif number == M.USERAUTH_SUCCESS and self.role is Role.CLIENT:
            # One that comes too early is the peer's mistake; taking it for good would show as a breach of P1.
            self.authenticated = self.authenticated or (self._newkeys_sent and self._newkeys_received)
        elif 80 <= number <= 100:
            try:
                self._channels.received(payload)
            except DecodeError:
                pass  # the peer's mistake, and for our end to answer

    def received_data(self) -> None:
        """CHANNEL_DATA, which leaves nothing to note."""
        self._recent.append("<CHANNEL_DATA")

    def sent(self, payload: bytes) -> None:
        """A message has been sealed."""
        number = payload[0]
        self._sends(number)
        if number == M.DISCONNECT:
            self._disconnected = True
        elif number == M.KEXINIT:
            self._sent_kexinit(payload)
        elif number == M.NEWKEYS:
            self._sent_newkeys()
        elif number == M.USERAUTH_SUCCESS:
            self._sent_success()
        elif number in _DATA:
            head = 9 if number == M.CHANNEL_DATA else 13
            self._channels.sent_data(number, int.from_bytes(payload[1:5], "big"), len(payload) - head)
        elif 80 <= number <= 100:
            self._channels.sent(payload)

    def sent_data(self, number: int, recipient_channel: int, size: int) -> None:
        """`sent` for channel data, without the data."""
        self._sends(number)
        self._channels.sent_data(number, recipient_channel, size)

    def _sends(self, number: int) -> None:
        """What holds for every message."""
        self._recent.append(f">{message_name(number)}")
        if self._disconnected:
            self._breach("P3", f"{message_name(number)} behind DISCONNECT")
        if 80 <= number <= 127 and not self.authenticated:
            self._breach("P1", f"{message_name(number)} before USERAUTH_SUCCESS")
        if (5 <= number <= 7 or 50 <= number <= 79) and not self._newkeys_sent:
            self._breach("P2", f"{message_name(number)} before NEWKEYS")
        if self._in_our_kex and not (20 <= number <= 49 or number == 1 or (1 <= number <= 4 and not self._must_be_strict())):
            self._breach("P5", f"{message_name(number)} between our KEXINIT and our NEWKEYS")

    def _must_be_strict(self) -> bool:
        return self._strict and not self._newkeys_sent

    def _sent_kexinit(self, payload: bytes) -> None:
        if self._in_our_kex:
            self._breach("P5", "a second KEXINIT in one exchange")
        self._in_our_kex = True
        self._strict = self._strict or b"kex-strict-" in payload

    def _sent_newkeys(self) -> None:
        if not (self._in_our_kex and self._owes_kex):
            self._breach("P5", "NEWKEYS without a KEXINIT of both sides")
        self._in_our_kex = self._owes_kex = False
        self._newkeys_sent = True

    def _sent_success(self) -> None:
        if not self._newkeys_received:
            self._breach("P2", "USERAUTH_SUCCESS before the peer's NEWKEYS")
        self._successes += 1
        if self._successes > 1 or self.role is Role.CLIENT:
            self._breach("P4", "a second USERAUTH_SUCCESS" if self.role is Role.SERVER else "USERAUTH_SUCCESS from a client")
        self.authenticated = True

    # -- keys and handlers -------------------------------------------------------------------------------------------------------

    def key_installed(self, key: object) -> None:
        """What is sent from here on is under `key`."""
        if any(key is earlier for earlier in self._keys):
            self._breach("P9", "a key installed twice")
        self._keys.append(key)
        self._sequence_number = None

    def packet_sealed(self, sequence_number: int) -> None:
        """A packet has been sealed under the present key with this number, which runs on and wraps at 2^32 (RFC 4253 §6.4)."""
        previous, self._sequence_number = self._sequence_number, sequence_number
        if previous is not None and not 0 < (sequence_number - previous) & 0xFFFFFFFF < 1 << 31:
            self._breach("P9", f"sequence number {sequence_number} behind {previous} under one key")

    def handler_ran(self, what: str) -> None:
        """A handler of the application's was called because of the peer."""
        if not self.authenticated:
            self._breach("P10", f"{what} was called before authentication")

    # -- the end -----------------------------------------------------------------------------------------------------------------

    @property
    def owed(self) -> tuple[str, str] | None:
        """What the peer waits for, if it does: the invariant, and in words. Nothing any more behind our DISCONNECT."""
        if self._disconnected:
            return None
        if self._owes_kex:
            return "P5", "the peer's KEXINIT has not been answered to the end"
        if left := self._channels.unanswered_closes():
            return "P6", f"the peer's CLOSE was not answered on our channels {', '.join(map(str, left))}"
        return None

    def check_settled(self) -> None:
        """Nothing is under way any more and the connection lives: every KEXINIT and every CLOSE must have had its answer by now."""
        if owed := self.owed:
            self._breach(*owed)
