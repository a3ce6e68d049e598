"""Two ends of a connection made of the machines of `protocol` alone: no trio, no sockets, every byte in the test's hands.

`End` does what the reader, the supervisor and the authentication tasks do between the machines, in the plainest way: it is the second
opinion on how the machines fit together.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable
from typing import Any

import attrs

from tests.crypto.packets import COMBINATIONS, key_pair
from trio_ssh.crypto.packet_key import NoOpeningKey, NoSealingKey, OpeningKey, SealingKey
from trio_ssh.errors import LocalProtocolError
from trio_ssh.keys.key import PrivateKey
from trio_ssh.protocol.extensions import extensions_of_server
from trio_ssh.protocol.identification import IdentificationReader, identification_line
from trio_ssh.protocol.key_budget import UNLIMITED, budget_for
from trio_ssh.protocol.key_exchange import (
    ExpectKexInit,
    ExpectKexReply,
    ExpectNewKeys,
    Transcript,
    inbound_numbers,
    start_client,
    start_server,
)
from trio_ssh.protocol.limits import Limits
from trio_ssh.protocol.negotiation import Algorithms
from trio_ssh.protocol.negotiator import Negotiator, PeerKexInit
from trio_ssh.protocol.opener import Opener
from trio_ssh.protocol.phases import PhaseTracker, Route
from trio_ssh.protocol.role import Role
from trio_ssh.protocol.sealer import Gate, Sealer
from trio_ssh.wire.codec import encode
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import NewKeys

NO_CIPHER = ("none", "none")
MODES = [NO_CIPHER, *COMBINATIONS]
"""(cipher, mac): what packets can travel under, the time before the first NEWKEYS included."""

REPRESENTATIVE_MODES = [
    NO_CIPHER,
    ("aes128-gcm@openssh.com", COMBINATIONS[0][1]),
    ("chacha20-poly1305@openssh.com", COMBINATIONS[0][1]),
    ("aes128-ctr", "hmac-sha2-256-etm@openssh.com"),
    ("aes256-ctr", "hmac-sha2-512"),
]
"""One of each way of forming a packet."""


def nothing() -> None:
    """Where nobody wants to know that a key is spent."""


def never() -> None:
    raise AssertionError("no key is spent here")


PATTERN = bytes(range(256)) * 160


def payload_of(size: int, number: int = 0) -> bytes:
    """`size` bytes that differ from packet to packet; the first is a message number."""
    return (b"\x5e" + PATTERN[number % 251 :])[:size]


def keys_for(mode: tuple[str, str]) -> tuple[SealingKey, OpeningKey]:
    return (NoSealingKey(), NoOpeningKey()) if mode == NO_CIPHER else key_pair(*mode)


def seeded(seed: int = 0) -> Callable[[int], bytes]:
    """Randomness that is the same each time."""
    return random.Random(seed).randbytes


def new_sealer(on_spent: Callable[[], None] = never, seed: int = 0) -> Sealer:
    return Sealer(seeded(seed), on_spent)


def sealer_and_opener(mode: tuple[str, str], packet_bytes_max: int = 256 * 1024) -> tuple[Sealer, Opener]:
    """One direction, both ends, under fresh keys of `mode`."""
    sealer, opener = new_sealer(), Opener(packet_bytes_max, never)
    sealing, opening = keys_for(mode)
    sealer.switch_keys(sealing, UNLIMITED, never, reset_sequence=True)
    opener.switch_keys(opening, UNLIMITED, never, reset_sequence=True)
    return sealer, opener


def pieces(data: bytes | memoryview, sizes: Iterable[int]) -> Iterable[bytes]:
    """`data` in pieces of these sizes; what is left over comes last."""
    start = 0
    for size in sizes:
        if start >= len(data):
            return
        yield bytes(data[start : start + size])
        start += size
    if start < len(data):
        yield bytes(data[start:])


def changed(message: Any, **fields: Any) -> Any:
    """A copy of a message with other values in some fields."""
    return attrs.evolve(message, **fields)


def buffer_bytes(view: memoryview) -> int:
    """The size of the buffer that `view` is a part of."""
    return memoryview(view.obj).nbytes


def put(opener: Opener, data: bytes) -> bytes:
    """Hand over as much as there is space for, as one read of a socket would; returns what did not fit."""
    space = opener.space()
    size = min(len(space), len(data))
    assert size or not data
    space[:size] = data[:size]
    opener.received(size)
    return data[size:]


def open_all(opener: Opener, data: bytes) -> list[bytes]:
    """The payloads that `data` completes."""
    payloads: list[bytes] = []

    def sink(view: memoryview, start: int, end: int) -> bool:
        payloads.append(bytes(view[start:end]))
        return False

    while data:
        data = put(opener, data)
        while opener.open_batch(sink):
            pass
    return payloads


@attrs.define(eq=False)
class End:
    """One side of a whole connection up to authentication, and its rekeys. What it sends is taken with `take`."""

    role: Role
    algorithms: Algorithms = attrs.field(factory=Algorithms)
    limits: Limits = attrs.field(factory=Limits)
    host_keys: dict[str, PrivateKey] = attrs.field(factory=dict)
    received: list[tuple[Route, bytes]] = attrs.field(factory=list)
    exchanges: list[ExpectNewKeys] = attrs.field(factory=list)
    session_id: bytes = b""
    peer_line: bytes | None = None
    skip_next: bool = False
    ours: bytes = b""
    state: ExpectKexReply | ExpectKexInit | None = None
    inbound: ExpectNewKeys | None = None
    spent: int = 0
    parts: Parts = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.parts = Parts(
            Negotiator(self.role, self.algorithms, self.limits),
            PhaseTracker(self.role),
            Sealer(seeded(len(self.role.value)), self._spent),
            Opener(self.limits.packet_bytes_preauth, self._spent),
            IdentificationReader(self.role, self.limits),
        )
        self.parts.sealer.gate = Gate.STRICT_KEX
        self.parts.sealer.append_plain(self.line + b"\r\n")
        self.start_exchange()

    @property
    def line(self) -> bytes:
        return identification_line(f"test_{self.role.value}")

    def _spent(self) -> None:
        self.spent += 1

    def take(self) -> bytes:
        """All that is to go to the peer."""
        return bytes(self.parts.sealer.take_batch())

    def send(self, payload: bytes) -> None:
        self.parts.sealer.seal(payload)

    def start_exchange(self) -> None:
        first = not self.exchanges
        self.ours = self.parts.negotiator.our_kexinit(bytes(16), first=first)
        self.parts.sealer.gate = Gate.STRICT_KEX if first else Gate.KEX
        self.send(self.ours)
        self.parts.phases.sent_kexinit()

    def feed(self, data: bytes) -> None:
        """Bytes of the peer, in whatever pieces."""
        if self.peer_line is None:
            peer = self.parts.identification.feed(data)
            if peer is None:
                return
            self.peer_line, data = peer.line, peer.trailing
        while data:
            data = put(self.parts.opener, data)
            while self.parts.opener.open_batch(self._route):
                if self.inbound is not None:
                    self._take_new_opening_key()

    def _route(self, view: memoryview, start: int, end: int) -> bool:
        payload = bytes(view[start:end])
        if self.skip_next:
            self.skip_next = False
            return False
        number = payload[0]
        phases = self.parts.phases
        route = phases.routes[number]
        if route is Route.ILLEGAL:
            raise phases.illegal(number)
        if route is Route.KEX:
            return self._kex(number, payload)
        self.received.append((route, payload))
        if not phases.authenticated:
            phases.received_packet(number)
        return False

    def _kex(self, number: int, payload: bytes) -> bool:
        if number == M.KEXINIT:
            self._kexinit(self.parts.negotiator.receive(payload))
        elif number == M.NEWKEYS:
            self.inbound = self.exchanges[-1]
            return True
        else:
            self.parts.phases.received_kex_message(number)
            self._method_message(payload)
        return False

    def _kexinit(self, peer: PeerKexInit) -> None:
        opener, phases = self.parts.opener, self.parts.phases
        answering = bool(self.exchanges) and self.parts.sealer.gate is Gate.OPEN
        phases.received_kexinit(
            strict=peer.negotiated.strict_kex,
            method_numbers=inbound_numbers(peer.negotiated.kex, self.role),
            sequence_number=opener.sequence_number - 1,
        )
        self.skip_next = peer.guess_is_wrong
        if answering:
            self.start_exchange()
        assert self.peer_line is not None
        lines, kexinits = (self.line, self.peer_line), (self.ours, peer.payload)
        if self.role is Role.SERVER:
            lines, kexinits = lines[::-1], kexinits[::-1]
        transcript = Transcript(client_line=lines[0], server_line=lines[1], client_kexinit=kexinits[0], server_kexinit=kexinits[1])
        if self.role is Role.CLIENT:
            init, self.state = start_client(transcript, peer.negotiated)
            self.send(init)
        else:
            self.state = start_server(transcript, peer.negotiated, self.host_keys[peer.negotiated.host_key])

    def _method_message(self, payload: bytes) -> None:
        state = self.state
        if isinstance(state, ExpectKexReply):
            self._change_over(state.receive(payload).trusted())
        elif isinstance(state, ExpectKexInit):
            reply, new = state.receive(payload)
            self.send(reply)
            self._change_over(new)

    def _change_over(self, new: ExpectNewKeys) -> None:
        first = not self.exchanges
        self.exchanges.append(new)
        self.session_id = self.session_id or new.exchange_hash
        sealer, negotiated = self.parts.sealer, new.negotiated
        self.send(encode(NewKeys()))
        cipher = negotiated.cipher_client_to_server if self.role is Role.CLIENT else negotiated.cipher_server_to_client
        sealer.switch_keys(
            new.sealing_key(self.role, self.session_id), budget_for(cipher, self.limits), self._spent, reset_sequence=negotiated.strict_kex
        )
        sealer.gate = Gate.OPEN
        if first and self.role is Role.SERVER and negotiated.ext_info:
            self.send(extensions_of_server(("ssh-ed25519",)))

    def _take_new_opening_key(self) -> None:
        new, self.inbound = self.inbound, None
        assert new is not None
        negotiated = new.negotiated
        cipher = negotiated.cipher_server_to_client if self.role is Role.CLIENT else negotiated.cipher_client_to_server
        self.parts.opener.switch_keys(
            new.opening_key(self.role, self.session_id), budget_for(cipher, self.limits), self._spent, reset_sequence=negotiated.strict_kex
        )
        self.parts.phases.received_newkeys()

    def log_in(self) -> None:
        """As if authentication had succeeded."""
        self.parts.phases.authentication_succeeded()
        self.parts.opener.trust(self.limits.packet_bytes)


@attrs.define(eq=False)
class Parts:
    """The machines of one end."""

    negotiator: Negotiator
    phases: PhaseTracker
    sealer: Sealer
    opener: Opener
    identification: IdentificationReader


def two_ends(
    client: Algorithms | None = None, server: Algorithms | None = None, limits: Limits | None = None, host_key: PrivateKey | None = None
) -> tuple[End, End]:
    """A client and a server, each with its identification and KEXINIT ready to be taken."""
    key = host_key or PrivateKey.generate()
    by_algorithm = dict.fromkeys(key.public_key.signature_algorithms, key)
    server = attrs.evolve(server or Algorithms(), host_keys=tuple(by_algorithm))
    limits = limits or Limits()
    return (
        End(Role.CLIENT, client or Algorithms(), limits),
        End(Role.SERVER, server, limits, host_keys=by_algorithm),
    )


def shuttle(one: End, other: End, piece: int | None = None) -> int:
    """Carry bytes both ways until nobody has anything to say; returns how many there were."""
    total = 0
    while batches := [(end, data) for end, data in ((other, one.take()), (one, other.take())) if data]:
        for receiver, data in batches:
            total += len(data)
            for part in pieces(data, itertools.repeat(piece or len(data))):
                receiver.feed(part)
    return total


def connected_ends(
    client: Algorithms | None = None, server: Algorithms | None = None, limits: Limits | None = None, host_key: PrivateKey | None = None
) -> tuple[End, End]:
    """Both ends behind the first key exchange and logged in."""
    ends = two_ends(client, server, limits, host_key)
    shuttle(*ends)
    for end in ends:
        end.log_in()
        end.received.clear()
    return ends


def refused_locally(act: Callable[[], object]) -> bool:
    try:
        act()
    except LocalProtocolError:
        return True
    return False
