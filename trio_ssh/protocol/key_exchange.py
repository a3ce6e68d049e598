"""A key exchange as typed states: each knows what is known by then and offers only what may come next (RFC 4253 §7, §8; RFC 5656 §4).

    client   start_client ──> ExpectKexReply ── KEX_REPLY, signature verified ──> AwaitTrust ── the host key is accepted ──> ExpectNewKeys
    server   start_server ──> ExpectKexInit  ── KEX_INIT, signed ───────────────────────────────────────────────────────> ExpectNewKeys

The first exchange is a rekey of nothing: only the session id differs, which is the first exchange's hash and stays it for ever
(RFC 4253 §7.2). A method that takes shares of any kind fits: an ECDH point and a DH number are both "a string" on the wire, because an
mpint's wire form is the string of its bytes.
"""

from __future__ import annotations

import attrs

from ..crypto.kex import KEX, ClientShare, KexRecipe, digest
from ..crypto.packet_key import OpeningKey, SealingKey
from ..crypto.suites import derive_keys, make_opening_key, make_sealing_key
from ..errors import DecodeError, KeyExchangeError
from ..keys.key import PrivateKey, PublicKey
from ..wire.codec import decode, encode
from ..wire.primitives import write_string
from ..wire.transport import KexEcdhInit, KexEcdhReply
from .negotiation import Negotiated
from .role import Role

INBOUND_NUMBERS = {Role.SERVER: (30,), Role.CLIENT: (31,)}
"""What the methods of RFC 4253 §8 and RFC 5656 §4 have the peer send, in order."""


@attrs.frozen(kw_only=True)
class Transcript:
    """What both sides said before the method's own messages: the lines without CR LF, the KEXINIT payloads."""

    client_line: bytes
    server_line: bytes
    client_kexinit: bytes
    server_kexinit: bytes

    def exchange_hash(self, hash_name: str, host_key: bytes, client_share: bytes, server_share: bytes, secret: bytes) -> bytes:
        """H of RFC 4253 §8; `secret` is K in its wire form."""
        out = bytearray()
        for part in (self.client_line, self.server_line, self.client_kexinit, self.server_kexinit, host_key, client_share, server_share):
            write_string(out, part)
        out += secret
        return digest(hash_name, bytes(out))


@attrs.frozen
class ExpectNewKeys:
    """Both sides know the secret: what is left is to change over."""

    negotiated: Negotiated
    hash_name: str
    secret: bytes = attrs.field(repr=False)
    exchange_hash: bytes
    host_key: PublicKey

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

    host_key: PublicKey
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

    def receive(self, payload: bytes) -> AwaitTrust:
        """Raises `KeyExchangeError` for a bad share, host key or signature. May take long when `recipe.slow`."""
        reply = decode(KexEcdhReply, payload)
        host_key = self._host_key(reply.host_key)
        secret = self.share.finish(reply.server_public)
        exchange_hash = self.transcript.exchange_hash(
            self.recipe.hash_name, reply.host_key, self.share.public, reply.server_public, secret
        )
        if not host_key.verify(self.negotiated.host_key, reply.signature, exchange_hash):
            raise KeyExchangeError("the server's signature of the key exchange is wrong: it does not hold the host key it shows")
        return AwaitTrust(host_key, ExpectNewKeys(self.negotiated, self.recipe.hash_name, secret, exchange_hash, host_key))

    def _host_key(self, blob: bytes) -> PublicKey:
        try:
            key = PublicKey.from_blob(blob)
        except DecodeError as error:
            raise KeyExchangeError(f"the server's host key is malformed: {error}") from error
        if self.negotiated.host_key not in key.signature_algorithms:
            raise KeyExchangeError(f"the server shows a {key.algorithm} host key where {self.negotiated.host_key} was agreed")
        return key


@attrs.frozen
class ExpectKexInit:
    """Server: the client's share is due."""

    transcript: Transcript
    negotiated: Negotiated
    recipe: KexRecipe
    host_key: PrivateKey

    def receive(self, payload: bytes) -> tuple[bytes, ExpectNewKeys]:
        """Our KEX_REPLY, and what follows. Raises `KeyExchangeError` for a bad share. May take long when `recipe.slow`."""
        client_share = decode(KexEcdhInit, payload).client_public
        server_share, secret = self.recipe.respond(client_share)
        public_key = self.host_key.public_key
        exchange_hash = self.transcript.exchange_hash(self.recipe.hash_name, public_key.blob, client_share, server_share, secret)
        signature = self.host_key.sign(self.negotiated.host_key, exchange_hash)
        reply = encode(KexEcdhReply(public_key.blob, server_share, signature))
        return reply, ExpectNewKeys(self.negotiated, self.recipe.hash_name, secret, exchange_hash, public_key)


def start_client(transcript: Transcript, negotiated: Negotiated) -> tuple[bytes, ExpectKexReply]:
    """Our KEX_INIT, and the state behind it."""
    recipe = KEX[negotiated.kex]
    share = recipe.start_client()
    return encode(KexEcdhInit(share.public)), ExpectKexReply(transcript, negotiated, recipe, share)


def start_server(transcript: Transcript, negotiated: Negotiated, host_key: PrivateKey) -> ExpectKexInit:
    return ExpectKexInit(transcript, negotiated, KEX[negotiated.kex], host_key)
