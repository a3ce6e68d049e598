"""Public key blobs, public key lines and signatures: any bytes are one, or are refused."""

from __future__ import annotations

from functools import cache

from tests import pairs
from tests.fuzz.choices import Choices, check_text
from trio_ssh import PrivateKey, PublicKey
from trio_ssh.errors import DecodeError, KeyFileError


@cache
def keys() -> list[PrivateKey]:
    return [pairs.USER_KEY, PrivateKey.generate("ecdsa", 256), PrivateKey.generate("ecdsa", 521), PrivateKey.generate("rsa", 2048)]


def target(data: bytes) -> None:
    choices = Choices(data)
    choices.pick((_blob, _line, _signature))(choices)


def _blob(choices: Choices) -> None:
    try:
        key = PublicKey.from_blob(choices.rest())
    except DecodeError:
        return
    assert PublicKey.from_openssh_line(key.to_openssh_line("comment")) == key
    assert not key.verify(key.signature_algorithms[0], b"", b"data")
    repr(key)


def _line(choices: Choices) -> None:
    try:
        PublicKey.from_openssh_line(choices.rest().decode("utf-8", "surrogateescape"))
    except KeyFileError as error:
        check_text(error)


def _signature(choices: Choices) -> None:
    key = choices.pick(keys()).public_key
    assert not key.verify(choices.pick(key.signature_algorithms), choices.rest(), b"what nobody has signed")


def seeds() -> list[bytes]:
    found = []
    for index, key in enumerate(keys()):
        blob, algorithm = key.public_key.blob, key.public_key.signature_algorithms[0]
        line = key.public_key.to_openssh_line("comment").encode()
        found += [b"\0" + blob, b"\1" + line, bytes([2, index, 0]) + key.sign(algorithm, b"something else")]
    return found
