"""`Peer`: the other side of one end of ours, without I/O and without rules.

`RawPeer` (tests/raw_peer.py) does the same over a stream; this one is fed and emptied by hand, so that one script can drive the machines
alone and a whole `Connection`. It shares the codec, the sealer and opener and the mathematics with the library, and none of its state
machines: it sends anything at any time and records all that comes.
"""

from __future__ import annotations

import os

import attrs

from tests.fuzz.methods import SMALL_GROUPS, Expecting, algorithms_of, begin_client, begin_server
from trio_ssh.protocol.key_budget import UNLIMITED
from trio_ssh.protocol.key_exchange import (
    AwaitTrust,
    ExpectGroup,
    ExpectGroupRequest,
    ExpectKexInit,
    ExpectKexReply,
    ExpectNewKeys,
    Transcript,
)
from trio_ssh.protocol.limits import Limits
from trio_ssh.protocol.negotiation import Algorithms
from trio_ssh.protocol.negotiator import Negotiator
from trio_ssh.protocol.opener import Opener
from trio_ssh.protocol.role import Role
from trio_ssh.protocol.sealer import Sealer
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Disconnect

KEXINIT, NEWKEYS = int(M.KEXINIT), int(M.NEWKEYS)


@attrs.define(eq=False)
class Peer:
    """`role` is the peer's own. What it sends is taken with `take`; what comes is `feed` to it and stands in `received`."""

    role: Role
    algorithms: Algorithms
    line: bytes = b"SSH-2.0-raw"
    strict: bool = True
    """Does it say that it knows strict key exchange?"""
    peer_line: bytes = b""
    session_id: bytes = b""
    received: list[bytes] = attrs.field(factory=list)
    clear_bytes: bytearray = attrs.field(factory=bytearray)
    """Everything that came, as it stood on the wire."""
    text: bytes = b""
    """What a server said to us that had not said who we are."""
    identified: bool = False
    ours: bytes = b""
    theirs: bytes = b""
    new: ExpectNewKeys | None = None
    """Known as soon as the method's messages are through; our own half of it is used when we send NEWKEYS."""
    disconnect: Disconnect | None = None
    _sealer: Sealer = attrs.field(factory=lambda: Sealer(os.urandom, lambda: None))
    _opener: Opener = attrs.field(factory=lambda: Opener(1 << 20, lambda: None))
    _negotiator: Negotiator = attrs.field(init=False)
    _state: Expecting | None = None
    _opening: ExpectNewKeys | None = None
    _reply: bytes = b""
    _unread: bytes = b""
    """The last message of the method that came."""
    _out: bytearray = attrs.field(factory=bytearray)

    def __attrs_post_init__(self) -> None:
        self._negotiator = Negotiator(self.role, algorithms_of(self.role, self.algorithms), Limits())

    # -- sending -----------------------------------------------------------------------------------------------------------------

    @property
    def next_sequence_number(self) -> int:
        """Of the packet that we send next."""
        return self._sealer.sequence_number

    def take(self) -> bytes:
        out, self._out = bytes(self._out), bytearray()
        return out

    def send_bytes(self, data: bytes) -> None:
        self._out += data

    def send(self, message: object) -> None:
        """A message, or a raw payload. NEWKEYS changes our keys if there are new ones."""
        payload = message if isinstance(message, bytes) else encode(message)
        self._sealer.seal(payload)
        self._out += self._sealer.take_batch()
        if payload == self._reply:
            self._reply = b""
        if payload == bytes([NEWKEYS]):
            self._switch_sealer()

    def _switch_sealer(self) -> None:
        self._work()
        new, self.new = self.new, None
        if new is not None:
            strict = self.strict and new.negotiated.strict_kex
            self._sealer.switch_keys(new.sealing_key(self.role, self.session_id), UNLIMITED, lambda: None, reset_sequence=strict)

    def identify(self) -> None:
        self.identified = True
        self.send_bytes(self.line + b"\r\n")

    def offer(self, algorithms: Algorithms) -> None:
        """From the next KEXINIT on."""
        self._negotiator.algorithms = algorithms_of(self.role, algorithms)

    def any_kexinit(self) -> bytes:
        """A KEXINIT as good as any."""
        payload = self._negotiator.our_kexinit(os.urandom(16), first=not self.session_id)
        return payload if self.strict else payload.replace(b"kex-strict-", b"not-strict-")

    def kexinit(self) -> bytes:
        """The KEXINIT that is to enter the exchange hash."""
        self.ours = self.any_kexinit()
        return self.ours

    # -- receiving ---------------------------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Bytes of our end, in whatever pieces."""
        self.clear_bytes += data
        if not self.peer_line:
            line, found, data = bytes(self.clear_bytes).partition(b"\n")
            if not found:
                return
            self.peer_line = line.rstrip(b"\r")
        if self.role is Role.CLIENT and not self.identified:
            self.text += data  # a server speaks no packets yet
            return
        while data:
            space = self._opener.space()
            size = min(len(space), len(data))
            space[:size] = data[:size]
            self._opener.received(size)
            data = data[size:]
            while self._opener.open_batch(self._sink):
                self._switch_opener()

    def _sink(self, view: memoryview, start: int, end: int) -> bool:
        assert self.disconnect is None, f"{view[start]} came behind a DISCONNECT"
        payload = bytes(view[start:end])
        self.received.append(payload)
        number = payload[0]
        if number == M.DISCONNECT:
            self.disconnect = decode(Disconnect, payload)
        elif number == KEXINIT:
            self.theirs = payload
        elif 30 <= number <= 49:
            self._work()
            self._unread = payload
        return number == NEWKEYS

    def _switch_opener(self) -> None:
        if self.received[-1][0] != NEWKEYS:
            return  # many packets, no change of keys
        self._work()
        new, self._opening = self._opening, None
        assert new is not None, "NEWKEYS came where no exchange had run"
        strict = self.strict and new.negotiated.strict_kex
        self._opener.switch_keys(new.opening_key(self.role, self.session_id), UNLIMITED, lambda: None, reset_sequence=strict)

    # -- the method --------------------------------------------------------------------------------------------------------------

    @property
    def reply(self) -> bytes:
        """The next message of the method that we owe. Nothing is computed before it is asked for: most cases never do."""
        self._work()
        return self._reply

    def _begin_method(self) -> None:
        """Both KEXINITs are out: what comes next is known."""
        negotiated = self._negotiator.receive(self.theirs).negotiated
        lines, kexinits = (self.line, self.peer_line), (self.ours, self.theirs)
        if self.role is Role.SERVER:
            lines, kexinits = lines[::-1], kexinits[::-1]
        transcript = Transcript(client_line=lines[0], server_line=lines[1], client_kexinit=kexinits[0], server_kexinit=kexinits[1])
        if self.role is Role.CLIENT:
            self._reply, self._state = begin_client(transcript, negotiated, cheap=True)
        else:
            self._state = begin_server(transcript, negotiated, SMALL_GROUPS)

    def _work(self) -> None:
        if self._state is None and self.new is None and self.ours and self.theirs:
            self._begin_method()
        payload, self._unread = self._unread, b""
        if payload:
            self._method_message(payload)

    def _method_message(self, payload: bytes) -> None:
        state = self._state
        if isinstance(state, (ExpectGroup, ExpectGroupRequest)):
            self._reply, self._state = state.receive(payload)
        elif isinstance(state, ExpectKexReply):
            trust: AwaitTrust = state.receive(payload)
            self._finish(trust.trusted())
        elif isinstance(state, ExpectKexInit):
            self._reply, new = state.receive(payload)
            self._finish(new)

    def _finish(self, new: ExpectNewKeys) -> None:
        self.session_id = self.session_id or new.exchange_hash
        self.new = self._opening = new
        self._state = None
        self.ours = self.theirs = b""
