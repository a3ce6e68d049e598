"""Which keys ``trio-ssh`` offers, and in which order (ssh(1), ssh_config(5): IdentityFile, CertificateFile, IdentitiesOnly, IdentityAgent).

As with ssh: the certificates that are named come first, then the agent's keys that are also named in the configuration, then its other
keys (not with IdentitiesOnly), then the keys in files, each with the certificate that lies beside it. A key that stands at two places is
offered once, where it stands first.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import cast

import attrs

from .. import KeyFileError, PrivateKeyFile, PublicKey, SessionBinding, Signer, printable
from ..agent.credential import AgentCredential
from ..errors import DecodeError
from ..keys import Certificate, CommentedPublicKey, PassphraseRequired, PrivateKey
from .agent_adding import AgentAdding
from .report import log

AskPassphrase = Callable[[str], Awaitable[str | None]]


@attrs.frozen
class IdentityFile:
    """A private key file, or a public key file whose private key the agent has. `required`: that it cannot be used is an error."""

    path: str
    required: bool = False

    def public_key(self) -> PublicKey | None:
        """Without a passphrase: from the file beside it, the file itself, or an unencrypted private key."""
        for path in (f"{self.path}.pub", self.path):
            try:
                return CommentedPublicKey.from_file(path).key
            except KeyFileError:
                continue
        try:
            return PrivateKey.from_file(self.path).public_key
        except KeyFileError:
            return None

    def is_private(self) -> bool:
        """Is there a private key in it, as far as can be told without a passphrase? Raises `KeyFileError` if it cannot be used."""
        try:
            PrivateKey.from_file(self.path)
        except PassphraseRequired:
            return True
        except KeyFileError:
            if self._is_public():
                return False
            raise
        return True

    def _is_public(self) -> bool:
        try:
            CommentedPublicKey.from_file(self.path)
        except KeyFileError:
            return False
        return True


@attrs.frozen(kw_only=True)
class Identities:
    """All keys of one login: a credential for `trio_ssh.connect`.

    `certificates` are those that are named, `beside` those that lie beside a key file, by its path. `agent` is where the agent is, as
    IdentityAgent has it; `only` is IdentitiesOnly; RSA keys of fewer than `rsa_bits` bits are left out.
    """

    files: tuple[IdentityFile, ...]
    certificates: tuple[Certificate, ...] = ()
    beside: Mapping[str, Certificate] = attrs.field(factory=dict)
    agent: str | None = None
    only: bool = False
    rsa_bits: int = 0
    ask_passphrase: AskPassphrase | None = None
    adding: AgentAdding | None = None
    """AddKeysToAgent."""

    async def offers(self, session: SessionBinding) -> Sequence[Signer]:
        """Raises `KeyFileError` for a file that must be usable and is not."""
        public_keys = {file.path: file.public_key() for file in self.files}
        held = await self._held(public_keys.values(), session)
        of_files = {file.path: await self._of_file(file, public_keys[file.path], held, session) for file in self.files}
        in_files = [signer for signers in of_files.values() for signer in signers]
        found = {bytes(signer.key_blob): signer for signer in (*reversed(in_files), *reversed(held))}
        order = dict.fromkeys(self._order(held, of_files))
        return [found[blob] for blob in order if blob in found and self._is_long_enough(found[blob])]

    def _order(self, held: Sequence[Signer], of_files: Mapping[str, Sequence[Signer]]) -> Iterator[bytes]:
        named = [one.blob for one in self.certificates]
        later = {one.blob for one in self.beside.values()} - set(named)
        yield from named
        yield from (bytes(signer.key_blob) for signer in held if signer.key_blob not in later)
        for path, signers in of_files.items():
            yield from (bytes(signer.key_blob) for signer in signers)
            if path in self.beside:
                yield self.beside[path].blob

    async def _held(self, named: Iterable[PublicKey | None], session: SessionBinding) -> list[Signer]:
        """What the agent can sign with: for certificates of ours, for keys that are named, for others."""
        keys = [key for key in named if key is not None]
        certificates = (*self.certificates, *self.beside.values())
        only: tuple[PublicKey | Certificate, ...] | None = (*keys, *certificates) if self.only else None
        signers = await AgentCredential(self.agent, only=only, certificates=certificates).offers(session)
        blobs = {key.blob for key in keys} | {certificate.blob for certificate in certificates}
        return sorted(signers, key=lambda signer: signer.key_blob not in blobs)

    async def _of_file(
        self, file: IdentityFile, public_key: PublicKey | None, held: Sequence[Signer], session: SessionBinding
    ) -> list[Signer]:
        """The file's key, then its certificates, as far as the agent has not all of them."""
        certificates = [one for one in (*self.certificates, *self.beside.values()) if one.public_key == public_key]
        blobs = {bytes(signer.key_blob) for signer in held}
        if public_key is not None and {public_key.blob, *(one.blob for one in certificates)} <= blobs:
            return []
        try:
            if not file.is_private():
                return []
        except KeyFileError as error:
            if file.required and public_key is None:
                raise
            log.log(_level(file.path), "%s", error)
            return []
        signers: list[Signer] = []
        for certificate in (*certificates,) or (None,):
            key_file = PrivateKeyFile(file.path, self._ask, optional=True, certificate=certificate)
            signers += reversed(cast(Sequence[Signer], await key_file.offers(session)))
        return signers if self.adding is None else self.adding.watch(file.path, signers)

    @property
    def _ask(self) -> AskPassphrase | None:
        return self.ask_passphrase if self.adding is None or self.ask_passphrase is None else self.adding.passphrase

    def _is_long_enough(self, signer: Signer) -> bool:
        try:
            key = _key_of(signer.key_blob)
        except DecodeError:
            return True  # a type that we do not know has no size that we know
        if key.algorithm == "ssh-rsa" and key.bits < self.rsa_bits:
            log.warning("an RSA key of %d bits is not offered: RequiredRSASize wants %d", key.bits, self.rsa_bits)
            return False
        return True


def _level(path: str) -> int:
    """A file that is not there is nothing to speak of: configurations name more files than every machine has."""
    return logging.WARNING if os.path.lexists(path) else logging.INFO


def _is_certificate(blob: bytes) -> bool:
    return b"-cert-v01@" in bytes(blob[:64])


def _key_of(blob: bytes) -> PublicKey:
    return Certificate.from_blob(blob).public_key if _is_certificate(blob) else PublicKey.from_blob(blob)


def certificates_beside(files: Sequence[IdentityFile]) -> dict[str, Certificate]:
    """Those that lie beside key files, by the paths of these; what cannot be used is left out, and told."""
    paths = {file.path: f"{file.path}-cert.pub" for file in files}
    there = {path: read_certificates([beside]) for path, beside in paths.items() if os.path.lexists(beside)}
    return {path: found[0] for path, found in there.items() if found}


def read_certificates(paths: Sequence[str]) -> tuple[Certificate, ...]:
    """The certificates in files. What cannot be used is left out, and told."""
    found = []
    for path in paths:
        try:
            found.append(Certificate.from_file(path))
        except (KeyFileError, DecodeError) as error:
            log.warning("CertificateFile %s: %s", printable(path, 200), error)
    return tuple(found)
