"""Which message is legal when, and who gets it.

TABLE maps (role, phase) to {message number: route}. A number that is missing is illegal: the connection ends with a protocol error. A
phase is what we wait for next, seen from the receiving side; sending has a gate of its own (`sealer.Gate`).

    AWAIT_KEXINIT ── KEXINIT ──> IN_KEX ── last message of the method ──> AWAIT_NEWKEYS ── NEWKEYS ──> FIRST_PACKET
    FIRST_PACKET ── any packet ──> AWAIT_SERVICE ── SERVICE_REQUEST / _ACCEPT ──> AUTH ── USERAUTH_SUCCESS ──> CONNECTION
    CONNECTION ── our KEXINIT leaves ──> REKEY_ASKED ── KEXINIT ──> REKEY ── last message ──> REKEY_AWAIT_NEWKEYS ──> CONNECTION

Strict key exchange (draft-ietf-sshm-strict-kex; OpenSSH PROTOCOL §1.9) is a pair of phases: once the peer's first KEXINIT carries the
marker, IGNORE, UNIMPLEMENTED and DEBUG are illegal until NEWKEYS, and that KEXINIT must have been the very first packet.

A rekey before authentication is complete is refused (hardening POL-02): KEXINIT is simply missing from those rows.
Sources: RFC 4253 §7.1, §9, §10, §11; RFC 4252 §5; RFC 4254; RFC 8308 §2.4.
"""

from __future__ import annotations

from enum import Enum, IntEnum

import attrs

from ..errors import RemoteProtocolError
from ..wire.numbers import MessageNumber as M
from ..wire.numbers import message_name
from .role import Role


class Phase(Enum):
    AWAIT_KEXINIT = "waiting for the first KEXINIT"
    IN_KEX = "in the first key exchange"
    AWAIT_NEWKEYS = "waiting for the first NEWKEYS"
    IN_KEX_STRICT = "in the first key exchange (strict)"
    AWAIT_NEWKEYS_STRICT = "waiting for the first NEWKEYS (strict)"
    FIRST_PACKET = "waiting for the first packet under the first keys"
    AWAIT_SERVICE = "waiting for the service request or its answer"
    AUTH = "in authentication"
    CONNECTION = "connected"
    REKEY_ASKED = "our rekey is out, the peer's is not in"
    REKEY = "in a rekey"
    REKEY_AWAIT_NEWKEYS = "waiting for the NEWKEYS of a rekey"


class Route(IntEnum):
    """What the reader does with a message."""

    ILLEGAL = 0
    CONNECTION = 1  # the mux
    KEX = 2  # the rekey supervisor
    AUTH = 3  # the authentication task
    DISCONNECT = 4
    NOISE = 5  # IGNORE, UNIMPLEMENTED, DEBUG: checked and dropped
    DROP = 6
    PING = 7  # PING is answered by PONG, a PONG dropped, where the two were agreed on
    LATE_AUTH = 8  # a request behind the success: dropped, but counted (RFC 4252 §5.3)
    UNKNOWN = 9  # answered by UNIMPLEMENTED


_Row = dict[int, Route]

_ALWAYS: _Row = {M.DISCONNECT: Route.DISCONNECT}
_NOISE: _Row = {M.IGNORE: Route.NOISE, M.UNIMPLEMENTED: Route.NOISE, M.DEBUG: Route.NOISE}
_KEX_METHOD: _Row = dict.fromkeys(range(30, 35), Route.KEX)
_UNASSIGNED: _Row = dict.fromkeys(
    [*range(8, 20), *range(54, 60), *range(83, 90), *range(101, 128), *range(128, 192), *range(194, 256)], Route.UNKNOWN
)
_MUX: _Row = dict.fromkeys([*range(80, 83), *range(90, 101)], Route.CONNECTION)
_PING_DROPPED: _Row = {M.PING: Route.DROP}

_AUTH_IN: dict[Role, _Row] = {
    Role.SERVER: {M.SERVICE_REQUEST: Route.AUTH, M.USERAUTH_REQUEST: Route.AUTH, **dict.fromkeys(range(61, 80), Route.AUTH)},
    Role.CLIENT: {
        M.EXT_INFO: Route.AUTH,
        M.USERAUTH_FAILURE: Route.AUTH,
        M.USERAUTH_SUCCESS: Route.AUTH,
        M.USERAUTH_BANNER: Route.AUTH,
        **dict.fromkeys(range(60, 80), Route.AUTH),
    },
}
_SERVICE_IN: dict[Role, _Row] = {Role.SERVER: {M.SERVICE_REQUEST: Route.AUTH}, Role.CLIENT: {M.SERVICE_ACCEPT: Route.AUTH}}
_LATE: dict[Role, _Row] = {
    Role.SERVER: {M.USERAUTH_REQUEST: Route.LATE_AUTH, M.SERVICE_REQUEST: Route.UNKNOWN},
    Role.CLIENT: {M.USERAUTH_BANNER: Route.DROP},
}


def _rows(role: Role) -> dict[Phase, _Row]:
    connected: _Row = {**_UNASSIGNED, **_NOISE, **_MUX, **_LATE[role], M.PING: Route.PING, M.PONG: Route.PING, M.KEXINIT: Route.KEX}
    quiet: _Row = {**_NOISE, M.PING: Route.DROP, M.PONG: Route.DROP}
    rows: dict[Phase, _Row] = {
        Phase.AWAIT_KEXINIT: {**_NOISE, M.KEXINIT: Route.KEX},
        Phase.IN_KEX: {**_NOISE, **_KEX_METHOD},
        Phase.IN_KEX_STRICT: {**_KEX_METHOD},
        Phase.AWAIT_NEWKEYS: {**_NOISE, M.NEWKEYS: Route.KEX},
        Phase.AWAIT_NEWKEYS_STRICT: {M.NEWKEYS: Route.KEX},
        Phase.FIRST_PACKET: {**_NOISE, **_PING_DROPPED, **_SERVICE_IN[role], M.EXT_INFO: Route.AUTH},
        Phase.AWAIT_SERVICE: {**_NOISE, **_PING_DROPPED, **_SERVICE_IN[role]},
        Phase.AUTH: {**_NOISE, **_PING_DROPPED, **_AUTH_IN[role]},
        Phase.CONNECTION: connected,
        Phase.REKEY_ASKED: connected,
        Phase.REKEY: {**quiet, **_KEX_METHOD},
        Phase.REKEY_AWAIT_NEWKEYS: {**quiet, M.NEWKEYS: Route.KEX},
    }
    return {phase: {**row, **_ALWAYS} for phase, row in rows.items()}


TABLE: dict[tuple[Role, Phase], _Row] = {(role, phase): row for role in Role for phase, row in _rows(role).items()}

# The same as tuples of 256, so that the reader's look-up is one index.
ROUTES: dict[tuple[Role, Phase], tuple[Route, ...]] = {
    key: tuple(row.get(number, Route.ILLEGAL) for number in range(256)) for key, row in TABLE.items()
}

PREAUTH = frozenset(Phase) - {Phase.CONNECTION, Phase.REKEY_ASKED, Phase.REKEY, Phase.REKEY_AWAIT_NEWKEYS}


@attrs.define(eq=False)
class PhaseTracker:
    """Where one side of one connection stands. The reader asks `routes`; whoever sends or receives a turning point says so here."""

    role: Role
    phase: Phase = Phase.AWAIT_KEXINIT
    strict: bool = False
    routes: tuple[Route, ...] = ()
    _kex_numbers: tuple[int, ...] = ()
    _rekey_is_out: bool = False
    """Our KEXINIT left before the reader has turned the page to CONNECTION."""

    def __attrs_post_init__(self) -> None:
        self._enter(self.phase)

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self.routes = ROUTES[self.role, phase]

    @property
    def authenticated(self) -> bool:
        return self.phase not in PREAUTH

    def illegal(self, number: int) -> RemoteProtocolError:
        """The error for `number`, received in this phase."""
        name = message_name(number)
        return RemoteProtocolError(f"the peer sent {name} while {self.phase.value}", expected=self.phase.name, received=name)

    def sent_kexinit(self) -> None:
        if self.phase is Phase.CONNECTION:
            self._enter(Phase.REKEY_ASKED)
        elif self.phase is Phase.AUTH:
            self._rekey_is_out = True

    def received_kexinit(self, *, strict: bool, method_numbers: tuple[int, ...], sequence_number: int) -> None:
        """`method_numbers`: what the negotiated method has the peer send, in order. `strict` matters in the first exchange only."""
        self._kex_numbers = method_numbers
        if self.phase is not Phase.AWAIT_KEXINIT:
            self._enter(Phase.REKEY)
            return
        self.strict = strict
        if strict and sequence_number != 0:
            raise RemoteProtocolError("strict key exchange: the peer's first packet was not its KEXINIT", expected="KEXINIT")
        self._enter(Phase.IN_KEX_STRICT if strict else Phase.IN_KEX)

    def received_kex_message(self, number: int) -> None:
        """A message of the method (30-49): it must be the one whose turn it is."""
        if number != self._kex_numbers[0]:
            raise self.illegal(number)
        self._kex_numbers = self._kex_numbers[1:]
        if not self._kex_numbers:
            following = {Phase.IN_KEX: Phase.AWAIT_NEWKEYS, Phase.IN_KEX_STRICT: Phase.AWAIT_NEWKEYS_STRICT}
            self._enter(following.get(self.phase, Phase.REKEY_AWAIT_NEWKEYS))

    def received_newkeys(self) -> None:
        self._enter(Phase.CONNECTION if self.phase is Phase.REKEY_AWAIT_NEWKEYS else Phase.FIRST_PACKET)

    def received_packet(self, number: int) -> None:
        """Any legal packet before authentication; the first after NEWKEYS, and the service's message, turn the page."""
        if number in (M.SERVICE_REQUEST, M.SERVICE_ACCEPT):
            self._enter(Phase.AUTH)
        elif self.phase is Phase.FIRST_PACKET:
            self._enter(Phase.AWAIT_SERVICE)

    def authentication_succeeded(self) -> None:
        self._enter(Phase.REKEY_ASKED if self._rekey_is_out else Phase.CONNECTION)
