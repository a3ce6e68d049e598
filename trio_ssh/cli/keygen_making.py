"""``trio-ssh-keygen`` makes keys, and changes their passphrases and comments."""

from __future__ import annotations

import getpass
import os
import socket
from pathlib import Path

import attrs

from .. import KeyFileError, PrivateKey, printable
from ..keys.export import PrivateKeyFormat
from ..keys.files import make_directory
from ..keys.key_files import write_key_pair
from ..keys.private_openssh import BCRYPT_ROUNDS_DEFAULT, KEY_CIPHER_DEFAULT, KEY_CIPHERS
from .keygen_arguments import BadValue, KeyFormat, KeygenFailed, Request, Saving
from .keygen_files import DEFAULT_KIND, ask_path, open_private
from .keygen_showing import family, picture
from .prompts import ask_new_passphrase, ask_plainly, ask_secret, show

_KINDS = {
    "ed25519": "ed25519",
    "ssh-ed25519": "ed25519",
    "ed448": "ed448",
    "ssh-ed448": "ed448",
    "ecdsa": "ecdsa",
    "ecdsa-sha2-nistp256": "ecdsa",
    "ecdsa-sha2-nistp384": "ecdsa",
    "ecdsa-sha2-nistp521": "ecdsa",
    "rsa": "rsa",
    "ssh-rsa": "rsa",
    "rsa-sha2-256": "rsa",
    "rsa-sha2-512": "rsa",
}
_ECDSA_BITS = (256, 384, 521)
_RSA_BITS_MIN, _RSA_BITS_MAX = 2048, 16384
_HOST_KEY_KINDS = ("rsa", "ecdsa", "ed25519")
_FORMATS = {KeyFormat.PKCS8: PrivateKeyFormat.PKCS8, KeyFormat.PEM: PrivateKeyFormat.PEM}


@attrs.frozen
class Kind:
    """What key to make: `bits` None is the usual size."""

    name: str
    bits: int | None

    def make(self, comment: str) -> PrivateKey:
        return PrivateKey.generate(self.name, self.bits, comment)


def kind_of(name: str | None, bits: int | None) -> Kind:
    """What -t and -b ask for. Raises `BadValue`."""
    given = DEFAULT_KIND if name is None else name.lower()
    kind = _KINDS.get(given)
    if kind is None:
        raise BadValue(f"-t {printable(given, 60)}: keys of this type cannot be made; use {', '.join(sorted(set(_KINDS.values())))}")
    if given.startswith("ecdsa-sha2-nistp"):
        bits = int(given.removeprefix("ecdsa-sha2-nistp"))
    if kind == "rsa":
        _check_rsa_bits(bits)
    elif kind == "ecdsa" and bits is not None and bits not in _ECDSA_BITS:
        raise BadValue(f"-b {bits}: an ECDSA key has 256, 384 or 521 bits")
    return Kind(kind, bits if kind in ("rsa", "ecdsa") else None)  # the others have one size, as ssh-keygen has it


def _check_rsa_bits(bits: int | None) -> None:
    if bits is not None and not _RSA_BITS_MIN <= bits <= _RSA_BITS_MAX:
        raise BadValue(f"-b {bits}: an RSA key has {_RSA_BITS_MIN} to {_RSA_BITS_MAX} bits")


def check_saving(saving: Saving) -> None:
    """Raises `BadValue` for what no private key can be saved with."""
    if saving.cipher is not None and saving.cipher not in KEY_CIPHERS:
        raise BadValue(f"-Z {printable(saving.cipher, 60)}: private keys are not encrypted by that; use {', '.join(KEY_CIPHERS)}")


# --- making -----------------------------------------------------------------------------------------------------------------------------


def make_key(request: Request) -> int:
    """The exit status. Raises `SSHError`."""
    kind = kind_of(request.kind, request.bits)
    check_saving(request.saving)
    if not request.quiet:
        show(f"Generating public/private {kind.name} key pair.\n")
    path = request.path if request.path is not None else ask_path("Enter file in which to save the key", kind.name)
    _make_ssh_folder(path, quiet=request.quiet)
    replace = os.path.lexists(path)
    if replace and not _may_be_replaced(path):
        return 1
    passphrase = _new_passphrase(request)
    comment = request.comment if request.comment is not None else usual_comment()
    key = kind.make(comment)
    _save(path, key, passphrase, request.saving, replace=replace)
    if not request.quiet:
        _report(path, key, request.digest)
    return 0


def usual_comment() -> str:
    """user@host"""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _make_ssh_folder(path: str, *, quiet: bool) -> None:
    folder = Path.home() / ".ssh"
    if os.path.dirname(path) == str(folder) and not os.path.lexists(folder):
        make_directory(folder)
        if not quiet:
            show(f"Created directory '{printable(str(folder))}'.\n")


def _may_be_replaced(path: str) -> bool:
    answer = ask_plainly(f"{printable(path)} already exists.\nOverwrite (y/n)? ")
    return answer is not None and answer[:1] in ("y", "Y")


def _new_passphrase(request: Request) -> str:
    if request.old_passphrase is not None:
        return request.old_passphrase  # -P does as well as -N here
    if request.new_passphrase is not None:
        return request.new_passphrase
    return ask_new_passphrase("Enter passphrase (empty for no passphrase): ")


def _save(path: str, key: PrivateKey, passphrase: str | None, saving: Saving, *, replace: bool, public: bool = True) -> None:
    """Write the private key, and the public one beside it. Raises `KeygenFailed`; status 1 is what scripts expect then."""
    form = PrivateKeyFormat.OPENSSH if saving.format is None else _FORMATS.get(saving.format, PrivateKeyFormat.OPENSSH)
    rounds = BCRYPT_ROUNDS_DEFAULT if saving.rounds is None else saving.rounds
    cipher = KEY_CIPHER_DEFAULT if saving.cipher is None else saving.cipher
    secret = passphrase or None
    try:
        if public:
            write_key_pair(key, path, secret, form=form, rounds=rounds, cipher=cipher, replace=replace)
        else:
            key.write_file(path, secret, form=form, rounds=rounds, cipher=cipher, replace=replace)
    except (KeyFileError, ValueError) as error:
        raise KeygenFailed(f"the key was not saved: {error}", status=1) from None


def _report(path: str, key: PrivateKey, digest: str) -> None:
    shown = printable(path)
    lines = [
        f"Your identification has been saved in {shown}",
        f"Your public key has been saved in {shown}.pub",
        "The key fingerprint is:",
        f"{key.public_key.fingerprint(digest)} {printable(key.comment)}",
        "The key's randomart image is:",
        picture(key.public_key, digest),
    ]
    show("\n".join(lines) + "\n")


def make_host_keys(request: Request) -> int:
    """-A: one of each usual type, where there is none. Raises `SSHError`."""
    check_saving(request.saving)
    made = False
    for name in _HOST_KEY_KINDS:
        path = f"{request.path or ''}/etc/ssh/ssh_host_{name}_key"
        if os.path.lexists(path):
            continue
        key = kind_of(name, None).make(request.comment if request.comment is not None else usual_comment())
        if not request.quiet:
            show(f"{'' if made else 'trio-ssh-keygen: generating new host keys: '}{family(key.public_key)} ")
        made = True
        _save(path, key, None, request.saving, replace=False)
    if made and not request.quiet:
        show("\n")
    return 0


# --- changing ---------------------------------------------------------------------------------------------------------------------------


def change_passphrase(request: Request) -> int:
    """-p: the exit status. Raises `SSHError`."""
    check_saving(request.saving)
    path = request.path if request.path is not None else ask_path("Enter file in which the key is")
    opened = open_private(path, request.old_passphrase, "Enter old passphrase: ")
    if opened.key.comment:
        show(f"Key has comment '{printable(opened.key.comment)}'\n")
    passphrase = request.new_passphrase
    if passphrase is None:
        passphrase = ask_secret("Enter new passphrase (empty for no passphrase): ")
        if ask_secret("Enter same passphrase again: ") != passphrase:
            show("Pass phrases do not match.  Try again.\n")
            return 1
    _save(path, opened.key, passphrase, request.saving, replace=True, public=False)
    show("Your identification has been saved with the new passphrase.\n")
    return 0


def change_comment(request: Request) -> int:
    """-c: the exit status. Raises `SSHError`."""
    check_saving(request.saving)
    if request.saving.format not in (None, KeyFormat.RFC4716):
        raise KeygenFailed("a comment can be kept in a key file of OpenSSH's own format only; leave -m out", status=1)
    path = request.path if request.path is not None else ask_path("Enter file in which the key is")
    given = request.new_passphrase if request.old_passphrase is None else request.old_passphrase
    opened = open_private(path, given)
    old = opened.key.comment
    show(f"Old comment: {printable(old)}\n" if old else "No existing comment\n")
    comment = request.comment if request.comment is not None else ask_plainly("New comment: ")
    if comment is None:
        return 1
    if comment == old:
        show("No change to comment\n")
        return 0
    _save(path, opened.key.with_comment(comment), opened.passphrase, request.saving, replace=True)
    show(f"Comment '{printable(comment)}' applied\n" if comment else "Comment removed\n")
    return 0
