"""``trio-ssh-keygen`` converts keys: out of OpenSSH's formats (-e) and into them (-i)."""

from __future__ import annotations

from .. import KeyFileError, PrivateKey
from ..keys.certificates import Certificate
from ..keys.public_files import CommentedPublicKey, PublicKeyFormat
from .keygen_arguments import KeyFormat, KeygenFailed, Request
from .keygen_files import ask_path, load_public, open_private, read_text_file, shown_path
from .keygen_making import usual_comment
from .keygen_showing import family
from .prompts import show

_COMMENT_CHARACTERS_MAX = 60
_FORMATS = {
    KeyFormat.RFC4716: PublicKeyFormat.RFC4716,
    KeyFormat.PKCS8: PublicKeyFormat.PKCS8,
    KeyFormat.PEM: PublicKeyFormat.PEM,
}
_MARKS = {KeyFormat.RFC4716: b"---- BEGIN SSH2 ", KeyFormat.PKCS8: b"-----BEGIN ", KeyFormat.PEM: b"-----BEGIN "}


def export_key(request: Request) -> int:
    """-e: the public half of a key in another format, on stdout. Raises `SSHError`."""
    path = request.path if request.path is not None else ask_path("Enter file in which the key is")
    line = load_public(path)
    key = open_private(path, request.old_passphrase).key.public_key if line is None else line.key
    if isinstance(key, Certificate):
        raise KeygenFailed(f"{shown_path(path)} is a certificate; export the key itself: name its .pub file")
    form = request.saving.format or KeyFormat.RFC4716
    comment = f"{key.bits}-bit {family(key)}, converted by {usual_comment()} from OpenSSH"[:_COMMENT_CHARACTERS_MAX]
    show(CommentedPublicKey(key, comment).to_bytes(_FORMATS[form]).decode())
    return 0


def import_key(request: Request) -> int:
    """-i: a key of another format, on stdout in OpenSSH's. Raises `SSHError`."""
    path = request.path if request.path is not None else ask_path("Enter file in which the key is")
    content = read_text_file(path)
    form = request.saving.format or KeyFormat.RFC4716
    if _MARKS[form] not in content:
        raise KeygenFailed(f"{shown_path(path)}: there is no key of the format {form.value} in it; say with -m which format it has")
    try:
        if b"PRIVATE KEY-----" in content:
            show(PrivateKey.from_bytes(content).to_openssh().decode())
        else:
            show(CommentedPublicKey.from_bytes(content).key.to_openssh_line() + "\n")
    except KeyFileError as error:
        raise KeygenFailed(f"{shown_path(path)}: {error}") from None
    return 0
