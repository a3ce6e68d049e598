"""Plain lists of public keys, one on each line: TrustedUserCAKeys, and RevokedKeys where it is no KRL (sshd_config(5))."""

from __future__ import annotations

from .. import KeyFileError, PublicKey, printable
from ..config import SSHDConfig
from ..errors import DecodeError
from ..keys.authorized_keys import AUTHORIZED_KEYS_BYTES_MAX
from ..keys.blobs import is_key_type
from ..keys.files import read_regular_file
from ..keys.key import blob_of_fields

_KRL_MAGIC = b"SSHKRL\n\0"


def read_key_list(path: str) -> frozenset[PublicKey]:
    """The keys in a file; lines with ``#`` before them and empty ones do not count. Raises `KeyFileError` that names file and line.

    One bad line spoils the file: a key that was to be revoked must not be let in because its line has a mistake.
    """
    content = read_regular_file(path, AUTHORIZED_KEYS_BYTES_MAX)
    if content.startswith(_KRL_MAGIC):
        raise KeyFileError(f"{printable(path)}: it is a KRL, which is not supported yet; list the keys, one on each line", path=path)
    keys = set()
    for number, line in enumerate(content.decode("utf-8", "backslashreplace").split("\n"), 1):
        if (text := line.strip()) and not text.startswith("#"):
            try:
                keys.add(PublicKey.from_openssh_line(text))
            except KeyFileError as error:
                if not _is_of_unknown_type(text):
                    raise KeyFileError(f"{printable(path)} line {number}: {error}", path=path, line=number) from None
    return frozenset(keys)


def _is_of_unknown_type(text: str) -> bool:
    """Is it a sound key of a type that lets nobody in anyway? (A certificate is none: it would have to be compared in other ways.)"""
    key_type, encoded = (*text.split(), "", "")[:2]
    try:
        blob_of_fields(key_type, encoded)
    except DecodeError:
        return False
    return not is_key_type(key_type) and "-cert-v" not in key_type


def check_key_lists(config: SSHDConfig) -> None:
    """Read all lists that are named, in Match blocks, too. Raises `ConfigError` that names the line, for what cannot be used."""
    for setting in config.all_settings():
        if setting.name in ("RevokedKeys", "TrustedUserCAKeys") and isinstance(setting.value, str):
            try:
                read_key_list(setting.value)
            except KeyFileError as error:
                raise setting.place.error(f"{setting.name}: {error}") from None
