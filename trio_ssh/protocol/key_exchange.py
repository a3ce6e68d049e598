"""A key exchange as typed states: each knows what is known by then and offers only what may come next (RFC 4253 §7, §8; RFC 5656 §4).

    client   start_client ──> ExpectKexReply ── KEX_REPLY, signature verified ──> AwaitTrust ── the host key is accepted ──> ExpectNewKeys
    server   start_server ──> ExpectKexInit  ── KEX_INIT, signed ───────────────────────────────────────────────────────> ExpectNewKeys

Group exchange (RFC 4419) has one step before, in which the two agree on the group; what was said then enters the exchange hash:

    client   start_group_client ──> ExpectGroup ── GROUP, checked ──> ExpectKexReply
    server   start_group_server ──> ExpectGroupRequest ── REQUEST, a group chosen ──> ExpectKexInit

The first exchange is a rekey of nothing: only the session id differs, which is the first exchange's hash and stays it for ever
(RFC 4253 §7.2). A method that takes shares of any kind fits: an ECDH point and a DH number are both "a string" on the wire, because an
mpint's wire form is the string of its bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import attrs

from ..crypto.group_exchange import BITS_MAX, BITS_MIN, BITS_WANTED, Group, check_group, group_recipe
from ..crypto.kex import KEX, ClientShare, GroupExchangeRecipe, KexRecipe, digest
from ..crypto.moduli import Moduli
from ..crypto.packet_key import OpeningKey, SealingKey
from ..crypto.suites import derive_keys, make_opening_key, make_sealing_key
from ..errors import DecodeError, KeyExchangeError
from ..keys.certificates import KEY_TYPE_OF_CERTIFICATE_ALGORITHM, Certificate, CertifiedKey
from ..keys.key import PrivateKey, PublicKey
from ..wire.codec import decode, encode
from ..wire.primitives import write_mpint, write_string, write_uint32
from ..wire.transport import (
    KexDhGexGroup,
    KexDhGexInit,
    KexDhGexReply,
    KexDhGexRequest,
    KexEcdhInit,
    KexEcdhReply,
)
from .negotiation import Negotiated
from .role import Role

T = TypeVar("T")

HostKey: TypeAlias = PublicKey | Certificate
"""What a server shows: a key, or a key with a certificate."""
OwnHostKey: TypeAlias = PrivateKey | CertifiedKey
"""What it signs with."""

_TWO_MESSAGES = {Role.SERVER: (30,), Role.CLIENT: (31,)}
_GROUP_EXCHANGE = {Role.SERVER: (34, 32), Role.CLIENT: (31, 33)}


def inbound_numbers(method: str, role: Role) -> tuple[int, ...]:
    """The numbers of the messages that `method` has our peer send, in order (RFC 4253 §8, RFC 5656 §4, RFC 4419 §5)."""
    return (_GROUP_EXCHANGE if is_group_exchange(method) else _TWO_MESSAGES)[role]


def is_group_exchange(method: str) -> bool:
    """Is there a step before, in which a group is agreed on (RFC 4419)?"""
    return isinstance(KEX[method], GroupExchangeRecipe)


def is_slow(method: str) -> bool:
    """Does the arithmetic of `method` take several milliseconds, so that it belongs into a thread?"""
    recipe = KEX[method]
    return isinstance(recipe, GroupExchangeRecipe) or recipe.slow


@attrs.frozen(kw_only=True)
class Transcript:
    """What both sides said before the method's own messages: the lines without CR LF, the KEXINIT payloads."""

    client_line: bytes
    server_line: bytes
    client_kexinit: bytes
    server_kexinit: bytes

    parameters: bytes = b""
    """Group exchange: the sizes asked for and the group, in wire form (RFC 4419 §3)."""

    def exchange_hash(self, hash_name: str, host_key: bytes, client_share: bytes, server_share: bytes, secret: bytes) -> bytes:
        """H of RFC 4253 §8; `secret` is K in its wire form."""
        out = bytearray()
        for part in (self.client_line, self.server_line, self.client_kexinit, self.server_kexinit, host_key):
            write_string(out, part)
        out += self.parameters
        write_string(out, client_share)
        write_string(out, server_share)
        out += secret
        return digest(hash_name, bytes(out))

    def with_group(self, request: KexDhGexRequest, group: Group) -> Transcript:
        """The same, behind a group exchange's first step."""
        out = bytearray()
        for bits in (request.bits_min, request.bits_wanted, request.bits_max):
            write_uint32(out, bits)
        write_mpint(out, group.prime)
        write_mpint(out, group.generator)
        return attrs.evolve(self, parameters=bytes(out))


def read(cls: type[T], payload: bytes) -> T:
    """A message of the method: one of the wrong shape is a bad share like any other, and ends the key exchange (DISCONNECT 3)."""
    try:
        return decode(cls, payload)
    except DecodeError as error:
        raise KeyExchangeError(f"the peer's key exchange message is malformed: {error}") from error


@attrs.frozen
class ExpectNewKeys:
    """Both sides know the secret: what is left is to change over."""

    negotiated: Negotiated
    hash_name: str
    secret: bytes = attrs.field(repr=False)
    exchange_hash: bytes
    host_key: HostKey
    signature: bytes = b""
    """The server's, over the exchange hash."""

    def _derive(self, session_id: bytes, letter: bytes, size: int) -> bytes:
        return derive_keys(self.hash_name, self.secret, self.exchange_hash, session_id, letter, size)

    def sealing_key(self, role: Role, session_id: bytes) -> SealingKey:
        """The key of what we send."""
        up = role is Role.CLIENT
        n = self.negotiated
        cipher, mac = (n.cipher_client_to_server, n.mac_client_to_server) if up else (n.cipher_server_to_client, n.mac_server_to_client)
        return make_sealing_key(cipher, mac, lambda letter, size: self._derive(session_id, letter, size), up)

    def opening_key(self, role: Role, session_id: bytes) -> OpeningKey:
        """The key of what we receive."""
        up = role is Role.SERVER
        n = self.negotiated
        cipher, mac = (n.cipher_client_to_server, n.mac_client_to_server) if up else (n.cipher_server_to_client, n.mac_server_to_client)
        return make_opening_key(cipher, mac, lambda letter, size: self._derive(session_id, letter, size), up)


@attrs.frozen
class AwaitTrust:
    """The server holds the private half of `host_key`; whether that is the right server is for the host key policy to say."""

    host_key: HostKey
    _next: ExpectNewKeys

    def trusted(self) -> ExpectNewKeys:
        return self._next


@attrs.frozen
class ExpectKexReply:
    """Client: our share is out."""

    transcript: Transcript
    negotiated: Negotiated
    recipe: KexRecipe
    share: ClientShare
    reply_class: type[KexEcdhReply] | type[KexDhGexReply] = KexEcdhReply

    def receive(self, payload: bytes) -> AwaitTrust:
        """Raises `KeyExchangeError` for a bad share, host key or signature. May take long when `recipe.slow`."""
        reply = read(self.reply_class, payload)
        host_key = self._host_key(reply.host_key)
        secret = self.share.finish(reply.server_public)
        exchange_hash = self.transcript.exchange_hash(
            self.recipe.hash_name, reply.host_key, self.share.public, reply.server_public, secret
        )
        if not host_key.verify(self.negotiated.host_key, reply.signature, exchange_hash, legacy=True):  # it is from our own list
            raise KeyExchangeError("the server's signature of the key exchange is wrong: it does not hold the host key it shows")
        new = ExpectNewKeys(self.negotiated, self.recipe.hash_name, secret, exchange_hash, host_key, reply.signature)
        return AwaitTrust(host_key, new)

    def _host_key(self, blob: bytes) -> HostKey:
        key: HostKey
        try:
            certified = self.negotiated.host_key in KEY_TYPE_OF_CERTIFICATE_ALGORITHM
            key = Certificate.from_blob(blob) if certified else PublicKey.from_blob(blob)
        except DecodeError as error:
            raise KeyExchangeError(f"the server's host key is malformed: {error}") from error
        if self.negotiated.host_key not in key.all_signature_algorithms:
            raise KeyExchangeError(f"the server shows a {key.algorithm} host key where {self.negotiated.host_key} was agreed")
        return key


@attrs.frozen
class ExpectGroup:
    """Client, group exchange: we have said which sizes would do."""

    transcript: Transcript
    negotiated: Negotiated
    method: GroupExchangeRecipe
    request: KexDhGexRequest

    def receive(self, payload: bytes) -> tuple[bytes, ExpectKexReply]:
        """Our share in the server's group. Raises `KeyExchangeError` for a group that will not do. May take long."""
        message = read(KexDhGexGroup, payload)
        group = Group(message.prime, message.generator)
        check_group(group, self.request.bits_min, self.request.bits_max)
        recipe = group_recipe(self.method, group)
        share = recipe.start_client()
        transcript = self.transcript.with_group(self.request, group)
        return encode(KexDhGexInit(share.public)), ExpectKexReply(transcript, self.negotiated, recipe, share, KexDhGexReply)


@attrs.frozen
class ExpectKexInit:
    """Server: the client's share is due."""

    transcript: Transcript
    negotiated: Negotiated
    recipe: KexRecipe
    host_key: OwnHostKey
    init_class: type[KexEcdhInit] | type[KexDhGexInit] = KexEcdhInit
    reply_class: type[KexEcdhReply] | type[KexDhGexReply] = KexEcdhReply

    def receive(self, payload: bytes) -> tuple[bytes, ExpectNewKeys]:
        """Our KEX_REPLY, and what follows. Raises `KeyExchangeError` for a bad share. May take long when `recipe.slow`."""
        client_share = read(self.init_class, payload).client_public
        server_share, secret = self.recipe.respond(client_share)
        shown = shown_key(self.host_key)
        exchange_hash = self.transcript.exchange_hash(self.recipe.hash_name, shown.blob, client_share, server_share, secret)
        signature = self.host_key.sign(self.negotiated.host_key, exchange_hash)
        reply = encode(self.reply_class(shown.blob, server_share, signature))
        return reply, ExpectNewKeys(self.negotiated, self.recipe.hash_name, secret, exchange_hash, shown, signature)


@attrs.frozen
class ExpectGroupRequest:
    """Server, group exchange: the client is to say which sizes would do."""

    transcript: Transcript
    negotiated: Negotiated
    method: GroupExchangeRecipe
    host_key: OwnHostKey
    moduli: Moduli
    random: Callable[[int], bytes]

    def receive(self, payload: bytes) -> tuple[bytes, ExpectKexInit]:
        """The group, and what follows. Raises `KeyExchangeError` when no group of ours is among the sizes asked for."""
        request = read(KexDhGexRequest, payload)
        group = self.moduli.choose(request.bits_min, request.bits_wanted, request.bits_max, self.random)
        transcript = self.transcript.with_group(request, group)
        recipe = group_recipe(self.method, group)
        following = ExpectKexInit(transcript, self.negotiated, recipe, self.host_key, KexDhGexInit, KexDhGexReply)
        return encode(KexDhGexGroup(group.prime, group.generator)), following


def shown_key(host_key: OwnHostKey) -> HostKey:
    """What a server shows of it."""
    return host_key.certificate if isinstance(host_key, CertifiedKey) else host_key.public_key


def guess_share(method: str) -> tuple[bytes, ClientShare]:
    """A KEX_INIT to be sent before the server has said what it can do, and the share in it (RFC 4253 §7). Not for group exchange."""
    recipe = KEX[method]
    assert isinstance(recipe, KexRecipe)
    share = recipe.start_client()
    return encode(KexEcdhInit(share.public)), share


def start_client(transcript: Transcript, negotiated: Negotiated, guessed: ClientShare | None = None) -> tuple[bytes, ExpectKexReply]:
    """Our KEX_INIT, and the state behind it. `guessed` is a share that is out already: there is nothing to send then."""
    recipe = _recipe(negotiated)
    share = guessed or recipe.start_client()
    payload = b"" if guessed else encode(KexEcdhInit(share.public))
    return payload, ExpectKexReply(transcript, negotiated, recipe, share)


def start_server(transcript: Transcript, negotiated: Negotiated, host_key: OwnHostKey) -> ExpectKexInit:
    return ExpectKexInit(transcript, negotiated, _recipe(negotiated), host_key)


def start_group_client(transcript: Transcript, negotiated: Negotiated) -> tuple[bytes, ExpectGroup]:
    """Group exchange: our REQUEST, and the state behind it."""
    request = KexDhGexRequest(BITS_MIN, BITS_WANTED, BITS_MAX)
    return encode(request), ExpectGroup(transcript, negotiated, _group_method(negotiated), request)


def start_group_server(
    transcript: Transcript, negotiated: Negotiated, host_key: OwnHostKey, moduli: Moduli, random: Callable[[int], bytes]
) -> ExpectGroupRequest:
    """Group exchange: a group is chosen from `moduli` by `random`, which gives so many unpredictable bytes."""
    return ExpectGroupRequest(transcript, negotiated, _group_method(negotiated), host_key, moduli, random)


def _recipe(negotiated: Negotiated) -> KexRecipe:
    recipe = KEX[negotiated.kex]
    assert isinstance(recipe, KexRecipe)
    return recipe


def _group_method(negotiated: Negotiated) -> GroupExchangeRecipe:
    method = KEX[negotiated.kex]
    assert isinstance(method, GroupExchangeRecipe)
    return method
