"""Public key files of every format: any bytes are a key, which can be written and read again, or a `KeyFileError`."""

from __future__ import annotations

import base64

from tests import pairs
from tests.fuzz.choices import Choices, check_text
from trio_ssh import CommentedPublicKey, PrivateKey, PublicKeyFormat
from trio_ssh.errors import KeyFileError

BEGIN, END = b"---- BEGIN SSH2 PUBLIC KEY ----\n", b"\n---- END SSH2 PUBLIC KEY ----\n"
KEY = pairs.USER_KEY.public_key


def target(data: bytes) -> None:
    choices = Choices(data)
    text = choices.pick((_as_it_is, _between_markers, _above_a_key))(choices.rest())
    try:
        file = CommentedPublicKey.from_bytes(text)
    except KeyFileError as error:
        check_text(error)
        return
    for form in PublicKeyFormat:
        try:
            written = file.to_bytes(form)
        except KeyFileError as error:  # a key that has no PEM; a header that grew too long when its odd bytes were escaped
            check_text(error)
            continue
        assert CommentedPublicKey.from_bytes(written).key == file.key


def _as_it_is(text: bytes) -> bytes:
    return text


def _between_markers(text: bytes) -> bytes:
    return BEGIN + text + END


def _above_a_key(text: bytes) -> bytes:
    return BEGIN + text + b"\n" + base64.b64encode(KEY.blob) + END


def seeds() -> list[bytes]:
    headers = (("Subject", "ada"), ("X-Long", "ü" * 200))
    every = [CommentedPublicKey(key, 'a "comment"', headers) for key in (KEY, PrivateKey.generate("ecdsa", 256).public_key)]
    texts = [file.to_bytes(form) for file in every for form in (PublicKeyFormat.OPENSSH, PublicKeyFormat.RFC4716, PublicKeyFormat.PKCS8)]
    lines = [b"Comment: folded \\\nhere", b'comment: "quoted"\r\nX-a:b', b"a:\\\n\\\n\\"]
    return [*(b"\0" + text for text in texts), *(bytes([way]) + line for line in lines for way in (1, 2))]
