"""What a client can prove itself with. Order matters: `connect` tries them one after another."""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import attrs
import trio

from ..connection.authentication import Offer, PasswordOffer, Signer
from ..errors import KeyFileError
from ..keys.files import PassphraseRequired, WrongPassphrase, file_mark
from ..keys.key import PrivateKey, PublicKey

_log = logging.getLogger("trio_ssh.credentials")

IDENTITY_FILES = ("id_ed25519", "id_ecdsa", "id_rsa")
SLOW_SIGNATURE_BITS = 3072
"""RSA keys above this sign in a thread: it takes over 5 ms."""

AskPassword = Callable[[], Awaitable[str | None]]
AskPassphrase = Callable[[str], Awaitable[str | None]]


@attrs.frozen
class Password:
    """A password, or an async function that gives one when its turn comes (None: skip). The function is asked `tries` times at most."""

    password: str | AskPassword = attrs.field(repr=False)
    tries: int = 1

    async def offers(self) -> Sequence[Offer]:
        password = self.password
        if not isinstance(password, str):
            return [PasswordOffer(password)] * self.tries

        async def give() -> str | None:
            return password

        return [PasswordOffer(give)]


@attrs.frozen
class PrivateKeyCredential:
    """A private key in memory."""

    key: PrivateKey
    ask_first: bool = False
    """Ask the server whether it takes the key before signing: one round trip more."""

    @property
    def algorithms(self) -> Sequence[str]:
        return self.key.public_key.all_signature_algorithms

    @property
    def key_blob(self) -> bytes:
        return self.key.public_key.blob

    async def sign(self, algorithm: str, data: bytes) -> bytes:
        if self.key.public_key.algorithm == "ssh-rsa" and self.key.public_key.bits > SLOW_SIGNATURE_BITS:
            return await trio.to_thread.run_sync(self.key.sign, algorithm, data, abandon_on_cancel=True)
        return self.key.sign(algorithm, data)

    async def offers(self) -> Sequence[Offer]:
        return [self]


def _path_text(path: str | os.PathLike[str]) -> str:
    return os.fspath(path)


@attrs.frozen
class PrivateKeyFile:
    """A private key in a file, read when its turn comes.

    If it is encrypted, ``await ask_passphrase(path)`` gives the passphrase, or None to skip the key; it is asked `tries` times at most,
    and, where a ``.pub`` file tells the public key, only after the server has said that it takes the key. `optional`: a missing file is
    no error.
    """

    path: str = attrs.field(converter=_path_text)
    ask_passphrase: AskPassphrase | None = None
    tries: int = 3
    optional: bool = False

    async def offers(self) -> Sequence[Offer]:
        """Raises `KeyFileError` for a file that cannot be used."""
        if self.optional and file_mark(self.path) is None:
            return []
        try:
            return [PrivateKeyCredential(await trio.to_thread.run_sync(PrivateKey.from_file, self.path))]
        except PassphraseRequired:
            if self.ask_passphrase is None and not self.optional:
                raise
        if self.ask_passphrase is None:
            _log.info("%s is encrypted and nobody can be asked for its passphrase: skipped", self.path)
            return []
        public_key = self._public_key()
        if public_key is not None:
            return [_LockedKey(public_key, self)]
        key = await self.unlock()
        return [PrivateKeyCredential(key)] if key is not None else []

    def _public_key(self) -> PublicKey | None:
        try:
            return PublicKey.from_openssh_line(Path(f"{self.path}.pub").read_text("utf-8", "replace"))
        except (OSError, KeyFileError):
            return None  # no harm: the passphrase is asked for first, then

    async def unlock(self) -> PrivateKey | None:
        """Ask until the passphrase is right. None when the user gives up. Raises `WrongPassphrase` after the last try."""
        assert self.ask_passphrase is not None
        for left in reversed(range(self.tries)):
            passphrase = await self.ask_passphrase(self.path)
            if passphrase is None:
                return None
            try:
                return await trio.to_thread.run_sync(PrivateKey.from_file, self.path, passphrase)
            except WrongPassphrase:
                if not left:
                    raise
        return None


@attrs.frozen
class _LockedKey:
    """An encrypted key whose public half is known: it is unlocked only when the server wants it."""

    public_key: PublicKey
    file: PrivateKeyFile

    @property
    def algorithms(self) -> Sequence[str]:
        return self.public_key.all_signature_algorithms

    @property
    def key_blob(self) -> bytes:
        return self.public_key.blob

    @property
    def ask_first(self) -> bool:
        return True

    async def sign(self, algorithm: str, data: bytes) -> bytes:
        key = await self.file.unlock()
        if key is None:
            raise KeyFileError(f"{self.file.path} is encrypted and no passphrase was given", path=self.file.path)
        if key.public_key != self.public_key:
            raise KeyFileError(
                f"{self.file.path}.pub is not the public half of {self.file.path}: make it anew with ssh-keygen -y", path=self.file.path
            )
        return await PrivateKeyCredential(key).sign(algorithm, data)


Credential = Password | PrivateKeyCredential | PrivateKeyFile | Signer


def default_credentials() -> tuple[Credential, ...]:
    """The usual identity files of ``~/.ssh`` that are there and not encrypted."""
    folder = Path.home() / ".ssh"
    return tuple(PrivateKeyFile(folder / name, optional=True) for name in IDENTITY_FILES)


async def all_offers(credentials: Sequence[Credential]) -> list[Offer]:
    """What the credentials have to offer, in order."""
    offers: list[Offer] = []
    for credential in credentials:
        if isinstance(credential, (Password, PrivateKeyCredential, PrivateKeyFile)):
            offers += await credential.offers()
        else:
            offers.append(credential)
    return offers
