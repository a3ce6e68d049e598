"""Private key files, OpenSSH's and PEM: any bytes are a key, which can be written and read again, or a `KeyFileError`."""

from __future__ import annotations

import base64
from functools import cache

from tests import pairs
from tests.fuzz.choices import Choices, check_text
from tests.keys.software_keys import SoftwareKey
from trio_ssh import PrivateKey, PrivateKeyFormat
from trio_ssh.errors import KeyFileError
from trio_ssh.keys.security_keys import SECURITY_KEY_TYPES

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
    assert PrivateKey.from_bytes(key.export()) == key
    if key.security_key is not None:
        key.agent_fields()
        return
    key.sign(key.public_key.signature_algorithms[0], b"whatever")


def _is_cheap(content: bytes) -> bool:
    return b"bcrypt" not in content and b"ENCRYPTED" not in content and b"YmNyeXB0" not in content


@cache
def _files() -> list[bytes]:
    elliptic = PrivateKey.generate("ecdsa", 256)
    pem = [elliptic.export(form) for form in (PrivateKeyFormat.PKCS8, PrivateKeyFormat.PEM)]
    handles = [SoftwareKey.generate(key_type).private_key() for key_type in SECURITY_KEY_TYPES]
    keys = [pairs.USER_KEY, PrivateKey.generate("ecdsa", 384), PrivateKey.generate("ed448"), *handles]
    openssh = [*(key.to_openssh() for key in keys), pairs.USER_KEY.to_openssh("secret", rounds=1)]
    return [*openssh, *pem, PrivateKey.generate("ed448").export(PrivateKeyFormat.PKCS8), elliptic.export(PrivateKeyFormat.PEM, "secret")]


def seeds() -> list[bytes]:
    files = _files()
    bodies = [base64.b64decode(b"".join(file.splitlines()[1:-1])) for file in files if file.startswith(HEAD)]
    return [bytes([0, 0]) + file for file in files] + [bytes([1, way]) + body for body in bodies for way in (0, 3)]
