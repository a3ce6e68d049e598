"""What a client can prove itself with. Order matters: `connect` tries them one after another."""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import attrs
import trio

from ..agent.credential import AgentCredential
from ..connection.offers import KeyboardInteractiveOffer, NotNow, Offer, PasswordOffer, SessionBinding, Signer
from ..errors import KeyFileError, LocalProtocolError
from ..keys.certificates import Certificate, CertifiedKey, plain_algorithm
from ..keys.files import PassphraseRequired, WrongPassphrase, file_mark
from ..keys.key import PrivateKey, PublicKey
from ..keys.security_keys import SecurityKeyNeeded
from ..protocol.auth_client import Asked

_log = logging.getLogger("trio_ssh.credentials")

IDENTITY_FILES = ("id_ed25519", "id_ecdsa", "id_rsa")
SLOW_SIGNATURE_BITS = 3072
"""RSA keys above this sign in a thread: it takes over 5 ms."""

AskPassword = Callable[[], Awaitable[str | None]]
AskPassphrase = Callable[[str], Awaitable[str | None]]
AskNewPassword = Callable[[str], Awaitable[str | None]]
Answer = Callable[[Asked], Awaitable[Sequence[str] | None]]


@attrs.frozen
class Password:
    """A password, or an async function that gives one when its turn comes (None: skip). The function is asked `tries` times at most.

    If the server wants the password changed (RFC 4252 §8), ``await change(prompt)`` gives the new one (None: give up); without `change`
    the method has failed then.
    """

    password: str | AskPassword = attrs.field(repr=False)
    tries: int = 1
    change: AskNewPassword | None = None

    async def offers(self, session: SessionBinding) -> Sequence[Offer]:
        password = self.password
        if not isinstance(password, str):
            return [PasswordOffer(password, self.change)] * self.tries

        async def give() -> str | None:
            return password

        return [PasswordOffer(give, self.change)]


@attrs.frozen
class KeyboardInteractive:
    """Answers the server's questions (RFC 4256): ``await answer(asked)`` gives as many answers as ``asked.prompts``, or None to give up.

    A round may have no prompts, only a text to be shown (`asked.name`, `asked.instruction`). Show the server's texts by
    `errors.printable` only. `tries` is how often the method is begun anew after a refusal; `submethods` are devices that the user would
    like the server to use, with commas between them.
    """

    answer: Answer
    tries: int = 1
    submethods: str = ""

    async def offers(self, session: SessionBinding) -> Sequence[Offer]:
        return [KeyboardInteractiveOffer(self.answer, self.submethods)] * self.tries


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
        try:
            return self.key.sign(algorithm, data)
        except SecurityKeyNeeded as error:
            raise NotNow(str(error)) from None

    async def offers(self, session: SessionBinding) -> Sequence[Offer]:
        return [self]


@attrs.frozen
class CertificateCredential:
    """A certificate, and a `Signer` of its key, such as a `PrivateKeyCredential`.

    ``CertificateCredential.of(certified_key)`` takes both together; for a key in a file there is ``PrivateKeyFile(path, certificate=…)``,
    for one in an agent ``AgentCredential(certificates=…)``. Raises `LocalProtocolError` for a signer of another key.
    """

    certificate: Certificate
    signer: Signer

    def __attrs_post_init__(self) -> None:
        if self.signer.key_blob != self.certificate.public_key.blob:
            raise LocalProtocolError(
                f"the certificate is for the key {self.certificate.public_key.fingerprint()}; what would sign has another one"
            )

    @classmethod
    def of(cls, key: CertifiedKey) -> CertificateCredential:
        return cls(key.certificate, PrivateKeyCredential(key.key))

    @property
    def algorithms(self) -> Sequence[str]:
        return self.certificate.all_signature_algorithms

    @property
    def key_blob(self) -> bytes:
        return self.certificate.blob

    @property
    def ask_first(self) -> bool:
        return self.signer.ask_first

    async def sign(self, algorithm: str, data: bytes) -> bytes:
        return await self.signer.sign(plain_algorithm(algorithm), data)

    async def offers(self, session: SessionBinding) -> Sequence[Offer]:
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
    certificate: Certificate | None = None
    """Offered in front of the key itself."""

    async def offers(self, session: SessionBinding) -> Sequence[Offer]:
        """Raises `KeyFileError` for a file that cannot be used, `LocalProtocolError` for another key's certificate."""
        signers = await self._signers()
        if self.certificate is None:
            return signers
        return [*(CertificateCredential(self.certificate, signer) for signer in signers), *signers]

    async def _signers(self) -> Sequence[Signer]:
        if self.optional and file_mark(self.path) is None:
            return []
        try:
            return self._usable(await trio.to_thread.run_sync(PrivateKey.from_file, self.path))
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
        return self._usable(key) if key is not None else []

    def _usable(self, key: PrivateKey) -> Sequence[Signer]:
        if key.security_key is None:
            return [PrivateKeyCredential(key)]
        _log.info("%s is on a security key, which only an agent can use: skipped; add it with ssh-add", self.path)
        return []

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
            raise NotNow(f"{self.file.path} is encrypted and no passphrase was given")
        if key.public_key != self.public_key:
            raise KeyFileError(
                f"{self.file.path}.pub is not the public half of {self.file.path}: make it anew with ssh-keygen -y", path=self.file.path
            )
        return await PrivateKeyCredential(key).sign(algorithm, data)


@runtime_checkable
class Credentials(Protocol):
    """Whatever has something to offer: the credentials here, `AgentCredential`, and one of your own."""

    async def offers(self, session: SessionBinding, /) -> Sequence[Offer]:
        """What to try, in order. Asked once a connection, when the server has shown its host key and nothing has been tried yet."""


Credential = Credentials | Signer


def default_credentials() -> tuple[Credential, ...]:
    """The keys of the user's agent, then the usual identity files of ``~/.ssh`` that are there and not encrypted."""
    folder = Path.home() / ".ssh"
    return (AgentCredential(), *(PrivateKeyFile(folder / name, optional=True) for name in IDENTITY_FILES))


async def all_offers(credentials: Sequence[Credential], session: SessionBinding) -> list[Offer]:
    """What the credentials have to offer, in order; a key that several have is offered once."""
    offers: list[Offer] = []
    seen: set[bytes] = set()
    for credential in credentials:
        found: Sequence[Offer]
        if isinstance(credential, (PrivateKeyCredential, Password, Credentials)):  # the dear test last
            found = await credential.offers(session)
        else:
            found = [credential]
        for offer in found:
            if isinstance(offer, (PasswordOffer, KeyboardInteractiveOffer)):
                offers.append(offer)
            elif offer.key_blob not in seen:
                seen.add(offer.key_blob)
                offers.append(offer)
    return offers
