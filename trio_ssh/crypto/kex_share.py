"""One side's half of a key exchange, and the two ways in which its result K is encoded."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from ..wire.primitives import write_mpint, write_string


@attrs.frozen
class ClientShare:
    """A fresh private key, hidden in `finish`, and its public value.

    `public` is the content of the string (or mpint) that goes to the peer. `finish` takes the peer's, raises `KeyExchangeError` if it is
    invalid, and gives K. Use a share once.
    """

    public: bytes
    finish: Callable[[bytes], bytes] = attrs.field(repr=False)


StartFunction = Callable[[], ClientShare]
RespondFunction = Callable[[bytes], tuple[bytes, bytes]]


def with_mpint_secret(start: StartFunction) -> StartFunction:
    """Shares like those of `start`, whose raw big-endian secret is turned into an mpint with its length (RFC 4253 §8, RFC 5656 §4)."""

    def start_with_mpint() -> ClientShare:
        share = start()
        return ClientShare(share.public, lambda peer_public: mpint_secret(share.finish(peer_public)))

    return start_with_mpint


def responder(start: StartFunction) -> RespondFunction:
    """The server's half of a symmetric method: a share of its own, finished at once. Gives (public value, K)."""

    def respond(client_public: bytes) -> tuple[bytes, bytes]:
        share = start()
        secret = share.finish(client_public)
        return share.public, secret

    return respond


def mpint_secret(secret: bytes) -> bytes:
    """A big-endian unsigned secret as an mpint with its length: leading zero bytes go, a sign byte may come (RFC 8731 §3.1)."""
    out = bytearray()
    write_mpint(out, int.from_bytes(secret, "big"))
    return bytes(out)


def string_secret(secret: bytes) -> bytes:
    """A secret as a string with its length, as the ML-KEM hybrids have it."""
    out = bytearray()
    write_string(out, secret)
    return bytes(out)
