"""The three bodies that G1 gives to each message number: well formed, empty, and with one trailing byte (hardening §3)."""

from __future__ import annotations

from enum import Enum

from tests import pairs
from tests.fuzz.peer import Peer
from tests.fuzz.states import KEY_ALGORITHM, PEERS_CHANNEL, State, due, password_request
from trio_ssh.wire import connection as c
from trio_ssh.wire import transport as t
from trio_ssh.wire import userauth as u
from trio_ssh.wire.codec import encode
from trio_ssh.wire.primitives import write_string


class Body(Enum):
    WELL_FORMED = "well formed"
    EMPTY = "empty"
    TRAILING = "with a trailing byte"


def payload_for(number: int, body: Body, peer: Peer, state: State) -> bytes:
    """What `peer` is to send."""
    if body is Body.EMPTY:
        return bytes([number])
    return _well_formed(number, peer, state) + b"\0" * (body is Body.TRAILING)


def _well_formed(number: int, peer: Peer, state: State) -> bytes:
    """What an honest peer would send in this state where it would send that number at all; anywhere else, the right form."""
    if number == 20:
        return peer.kexinit() if state in (State.S1, State.R1, State.S7) else peer.any_kexinit()
    if state in _WITH_METHOD and 30 <= number <= 34:
        own = due(peer, state)
        if own[0] == number:
            return own
    message = _MESSAGES.get(number)
    if message is None:
        out = bytearray([number])
        write_string(out, b"whatever")
        return bytes(out)
    return encode(message)


_WITH_METHOD = (State.S2, State.S2_SECOND, State.R2, State.R2_SECOND)
_SHARE = bytes(range(1, 33))
_KEY = pairs.USER_KEY.public_key.blob

_MESSAGES: dict[int, object] = {
    1: t.Disconnect(11, "goodbye"),
    2: t.Ignore(b"noise"),
    3: t.Unimplemented(0),
    4: t.Debug(True, "noise"),
    5: t.ServiceRequest("ssh-userauth"),
    6: t.ServiceAccept("ssh-userauth"),
    7: t.ExtInfo(t.write_extensions({"nobody@knows.this": b"1"})),
    21: t.NewKeys(),
    30: t.KexEcdhInit(_SHARE),
    31: t.KexEcdhReply(pairs.HOST_KEY.public_key.blob, _SHARE, b"no signature"),
    32: t.KexDhGexInit(_SHARE),
    33: t.KexDhGexReply(pairs.HOST_KEY.public_key.blob, _SHARE, b"no signature"),
    34: t.KexDhGexRequest(2048, 3072, 8192),
    50: password_request(),
    51: u.UserauthFailure(("publickey", "password"), False),
    52: u.UserauthSuccess(),
    53: u.UserauthBanner("welcome"),
    60: u.UserauthPkOk(KEY_ALGORITHM, _KEY),
    61: u.UserauthInfoResponse(u.write_responses(())),
    80: c.GlobalRequest("nobody@knows.this", True),
    81: c.RequestSuccess(),
    82: c.RequestFailure(),
    90: c.ChannelOpen("session", PEERS_CHANNEL + 1, 1 << 20, 32768),
    91: c.ChannelOpenConfirmation(0, PEERS_CHANNEL, 1 << 20, 32768),
    92: c.ChannelOpenFailureMessage(0, 1, "no"),
    93: c.ChannelWindowAdjust(0, 1),
    94: c.ChannelData(0, b"data"),
    95: c.ChannelExtendedData(0, 1, b"data"),
    96: c.ChannelEof(0),
    97: c.ChannelClose(0),
    98: c.ChannelRequest(0, "nobody@knows.this", True),
    99: c.ChannelSuccess(0),
    100: c.ChannelFailure(0),
    192: t.Ping(b"are you there?"),
    193: t.Pong(b"I am"),
}
