"""Public key blobs, public key lines and signatures: any bytes are one, or are refused."""

from __future__ import annotations

from functools import cache

from tests import pairs
from tests.fuzz.choices import Choices, check_text
from tests.keys.software_keys import SoftwareKey
from trio_ssh import PrivateKey, PublicKey
from trio_ssh.errors import DecodeError, KeyFileError
from trio_ssh.keys import security_key_use
from trio_ssh.keys.security_keys import SECURITY_KEY_TYPES


@cache
def keys() -> list[PrivateKey | SoftwareKey]:
    security_keys = [SoftwareKey.generate(key_type) for key_type in SECURITY_KEY_TYPES]
    kinds = [("ecdsa", 256), ("ecdsa", 521), ("rsa", 2048), ("ed448", None)]
    return [pairs.USER_KEY, *(PrivateKey.generate(kind, bits) for kind, bits in kinds), *security_keys]


def target(data: bytes) -> None:
    choices = Choices(data)
    choices.pick((_blob, _line, _signature, _use))(choices)


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


def _use(choices: Choices) -> None:
    try:
        use = security_key_use(choices.rest())
    except DecodeError as error:
        check_text(error)
        return
    assert use is None or 0 <= use.counter < 1 << 32


def seeds() -> list[bytes]:
    found = []
    for index, key in enumerate(keys()):
        line = key.public_key.to_openssh_line("comment").encode()
        found += [b"\0" + key.public_key.blob, b"\1" + line]
        for which, algorithm in enumerate(key.public_key.signature_algorithms):
            signature = key.sign(algorithm, b"something else")
            found += [bytes([2, index, which]) + signature, b"\3" + signature]
    return found
