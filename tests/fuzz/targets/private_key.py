"""Private key files, OpenSSH's and PEM: any bytes are a key or a `KeyFileError`."""

from __future__ import annotations

import base64
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests import pairs
from tests.fuzz.choices import Choices, check_text
from trio_ssh import PrivateKey
from trio_ssh.errors import KeyFileError

HEAD, TAIL = b"-----BEGIN OPENSSH PRIVATE KEY-----\n", b"\n-----END OPENSSH PRIVATE KEY-----\n"
PASSPHRASES = (None, None, "", "wrong")


def target(data: bytes) -> None:
    choices = Choices(data)
    armoured, passphrase = choices.byte() % 2 == 0, choices.pick(PASSPHRASES)
    content = choices.rest()
    if passphrase and not _is_cheap(content):
        return  # what a derivation may cost is bounded elsewhere; here it would only take the fuzzer's time
    if not armoured:
        content = HEAD + base64.b64encode(content) + TAIL
    try:
        key = PrivateKey.from_bytes(content, passphrase)
    except KeyFileError as error:
        check_text(error)
        return
    key.sign(key.public_key.signature_algorithms[0], b"whatever")


def _is_cheap(content: bytes) -> bool:
    return b"bcrypt" not in content and b"ENCRYPTED" not in content and b"YmNyeXB0" not in content


@cache
def _files() -> list[bytes]:
    elliptic = ec.generate_private_key(ec.SECP256R1())
    pem = [elliptic.private_bytes(Encoding.PEM, form, NoEncryption()) for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL)]
    keys = [pairs.USER_KEY, PrivateKey.generate("ecdsa", 384)]
    return [*(key.to_openssh() for key in keys), pairs.USER_KEY.to_openssh("secret", rounds=1), *pem]


def seeds() -> list[bytes]:
    files = _files()
    bodies = [base64.b64decode(b"".join(file.splitlines()[1:-1])) for file in files[:3]]
    return [bytes([0, 0]) + file for file in files] + [bytes([1, way]) + body for body in bodies for way in (0, 3)]
