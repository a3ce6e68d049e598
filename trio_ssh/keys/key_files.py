"""What ``ssh-keygen`` does with the two files of a key: writing both, and changing passphrase and comment of what is there."""

from __future__ import annotations

import os

from .export import PrivateKeyFormat
from .files import PassphraseRequired, Path
from .key import PrivateKey
from .private_openssh import BCRYPT_ROUNDS_DEFAULT, KEY_CIPHER_DEFAULT
from .public_files import CommentedPublicKey


def write_key_pair(
    key: PrivateKey,
    path: Path,
    passphrase: str | bytes | None = None,
    *,
    form: PrivateKeyFormat = PrivateKeyFormat.OPENSSH,
    rounds: int = BCRYPT_ROUNDS_DEFAULT,
    cipher: str = KEY_CIPHER_DEFAULT,
    replace: bool = False,
) -> None:
    """Write the private key to `path` (mode 0600) and its public line to `path` with ``.pub`` behind it.

    If not `replace`, a private key that is there is an error; a ``.pub`` is always replaced. Raises `KeyFileError`, and `ValueError` as
    `PrivateKey.export` does.
    """
    key.write_file(path, passphrase, form=form, rounds=rounds, cipher=cipher, replace=replace)
    CommentedPublicKey(key.public_key, key.comment).write_file(public_path(path))


def change_passphrase(
    path: Path,
    old: str | bytes | None,
    new: str | bytes | None,
    *,
    form: PrivateKeyFormat = PrivateKeyFormat.OPENSSH,
    rounds: int = BCRYPT_ROUNDS_DEFAULT,
) -> PrivateKey:
    """Write the private key in `path` anew, encrypted with `new` (None: not at all); the old file stands until the new one is whole.

    Gives the key. Raises `KeyFileError` and its kin for what cannot be read or written; then the file is as it was.
    """
    key = PrivateKey.from_file(path, old)
    key.write_file(path, new, form=form, rounds=rounds)
    return key


def change_comment(
    path: Path, comment: str, passphrase: str | bytes | None = None, *, rounds: int = BCRYPT_ROUNDS_DEFAULT
) -> PrivateKey:
    """Give the private key in `path`, and the ``.pub`` beside it, another comment; the private key's is OpenSSH's format from then on.

    It is encrypted with `passphrase` as before; one that is given although the file is not encrypted encrypts nothing. Gives the key.
    Raises `KeyFileError` and its kin.
    """
    secret = None
    try:
        key = PrivateKey.from_file(path)
    except PassphraseRequired:
        secret = passphrase
        key = PrivateKey.from_file(path, secret)
    changed = key.with_comment(comment)
    write_key_pair(changed, path, secret, rounds=rounds, replace=True)
    return changed


def public_path(path: Path) -> str:
    """Where the public key of the private key file `path` is kept."""
    return f"{os.fspath(path)}.pub"
