"""One target for each kind of key exchange: its messages as raw payloads, and shares and groups under a signature that is right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from tests import pairs
from tests.fuzz.choices import Choices
from tests.fuzz.exchanges import give, honest_messages, negotiated, states_of
from tests.fuzz.methods import Expecting
from trio_ssh.errors import RemoteProtocolError
from trio_ssh.protocol.key_exchange import AwaitTrust, ExpectGroup, ExpectKexReply
from trio_ssh.wire.codec import encode
from trio_ssh.wire.transport import KexDhGexGroup

cached_states = cache(states_of)


def kex_target(methods: Sequence[str]) -> tuple[Callable[[bytes], None], Callable[[], list[bytes]]]:
    """`target` and `seeds` for these methods."""

    def target(data: bytes) -> None:
        choices = Choices(data)
        method = choices.pick(methods)
        states = cached_states(method)
        number = choices.pick(sorted(states))
        signed = choices.byte() % 2
        _try(method, states[number], number, bool(signed), choices.rest())

    def seeds() -> list[bytes]:
        found = []
        for index, method in enumerate(methods):
            messages = honest_messages(method)
            for place, number in enumerate(sorted(messages)):
                found += [bytes([index, place, 0]) + messages[number][1:], bytes([index, place, 1]) + messages[number][5:600]]
        return found

    return target, seeds


def _try(method: str, state: Expecting, number: int, signed: bool, data: bytes) -> None:
    if not signed:
        give(state, bytes([number]) + data)
    elif isinstance(state, ExpectKexReply):
        _signed_reply(method, state, data)
    elif isinstance(state, ExpectGroup):
        middle = len(data) - 1
        prime = int.from_bytes(data[:middle], "big") if middle > 0 else 0
        give(state, encode(KexDhGexGroup(prime, int.from_bytes(data[-1:], "big"))))


def _signed_reply(method: str, state: ExpectKexReply, share: bytes) -> None:
    """A server that holds its key and chooses any share: what a bad share leads to must show before the signature does."""
    key = pairs.HOST_KEY
    try:
        secret = state.share.finish(share)
    except RemoteProtocolError:
        secret = b""
    digest = state.transcript.exchange_hash(state.recipe.hash_name, key.public_key.blob, state.share.public, share, secret)
    signature = key.sign(negotiated(method).host_key, digest)
    payload = encode(state.reply_class(key.public_key.blob, share, signature))
    try:
        result = state.receive(payload)
    except RemoteProtocolError:
        assert not secret, "a good share under a good signature was refused"
        return
    assert isinstance(result, AwaitTrust)
    assert secret, "a bad share was taken"
