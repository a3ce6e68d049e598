"""Whose keys and certificates open which account of this machine: authorized_keys, trusted authorities, principals (sshd_config(5))."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import attrs
import trio

from .. import KeyFileError, Permissions, PublicKey
from ..config import Settings, sshd_config
from ..errors import ConfigError
from ..keys.authorized_keys import (
    Claim,
    ParsedAuthorizedKeys,
    Refusal,
    parse_authorized_keys,
    permissions_for,
    read_authorized_keys,
)
from ..keys.principals import (
    AuthorizedPrincipal,
    ParsedPrincipals,
    parse_authorized_principals,
    permissions_by_principals,
    read_authorized_principals,
)
from ..server.accounts import Account
from .account_commands import AccountCommand
from .account_files import AccountFiles, account_tokens
from .key_lists import read_key_list
from .key_text import certificate_tokens, key_tokens

T = TypeVar("T")

_log = logging.getLogger("trio_ssh.cli.account_keys")


@attrs.frozen
class AccountKeys:
    """The keys of one account, looked up at each question, as its settings say.

    An account that does not exist is looked up under a stand-in, so that it costs as much; only commands are not executed for it.
    """

    settings: Settings
    account: Account
    exists: bool = True

    async def permissions(self, claim: Claim) -> Permissions | Refusal:
        """What somebody may do who holds the claim's key, or why nothing. Never raises for what a file says."""
        if fault := await trio.to_thread.run_sync(self._fault, claim):
            return Refusal(fault)
        answer = await trio.to_thread.run_sync(self._by_files, claim)
        if isinstance(answer, Refusal) and claim.certificate is not None:
            by_authority = await self._by_authority(claim)
            answer = by_authority or answer
        if isinstance(answer, Refusal) and self.exists:
            by_command = await self._by_command(claim)
            answer = by_command or answer
        return answer

    # -- what no file can allow ------------------------------------------------------------------------------------------------------

    def _fault(self, claim: Claim) -> str:
        settings, certificate = self.settings, claim.certificate
        keys = [_key_of(claim)] if certificate is None else [certificate.public_key, certificate.authority]
        least = settings[sshd_config.REQUIRED_RSA_SIZE]
        if keys[0].algorithm == "ssh-rsa" and keys[0].bits < least:
            return f"an RSA key of {keys[0].bits} bits is too short (RequiredRSASize {least})"
        if certificate is not None and certificate.authority_algorithm not in settings[sshd_config.CA_SIGNATURE_ALGORITHMS]:
            return f"its authority has signed by {certificate.authority_algorithm} (CASignatureAlgorithms)"
        path = settings[sshd_config.REVOKED_KEYS]
        if path is None:
            return ""
        try:
            revoked = read_key_list(path)
        except KeyFileError as error:
            _log.error("RevokedKeys: nobody is let in by a key: %s", error)
            return "RevokedKeys cannot be read"
        return "it is revoked" if any(key in revoked for key in keys) else ""

    # -- authorized_keys -------------------------------------------------------------------------------------------------------------

    @property
    def _files(self) -> AccountFiles:
        return AccountFiles(self.account, self.settings[sshd_config.STRICT_MODES])

    def paths(self) -> tuple[str, ...]:
        """The account's files. Raises `ConfigError` for an unknown token."""
        keyword = sshd_config.AUTHORIZED_KEYS_FILE
        return tuple(self._files.path(written, keyword.name) for written in self.settings[keyword])

    def _by_files(self, claim: Claim) -> Permissions | Refusal:
        refusal = Refusal("no line has this key" if claim.certificate is None else "no line has this certificate's authority")
        for path in self._expanded(self.paths) or ():
            parsed = self._files.read(path, read_authorized_keys)
            answer = refusal if parsed is None else permissions_for(parsed.entries, claim)
            if isinstance(answer, Permissions):
                return answer
            refusal = answer if parsed is not None else refusal
        return refusal

    async def _by_command(self, claim: Claim) -> Permissions | Refusal | None:
        written = self.settings[sshd_config.AUTHORIZED_KEYS_COMMAND]
        if written is None:
            return None
        command = AccountCommand("AuthorizedKeysCommand", written, self.settings[sshd_config.AUTHORIZED_KEYS_COMMAND_USER])
        tokens = {**account_tokens(self.account), **key_tokens(_key_of(claim), claim.certificate, self._digest)}
        output = await command.output(tokens)
        if output is None:
            return None
        parsed: ParsedAuthorizedKeys = parse_authorized_keys(output.encode("utf-8", "surrogateescape"), command.keyword)
        return permissions_for(parsed.entries, claim)

    # -- trusted authorities ---------------------------------------------------------------------------------------------------------

    async def _by_authority(self, claim: Claim) -> Permissions | Refusal | None:
        """None where the certificate's authority is not one of TrustedUserCAKeys."""
        path = self.settings[sshd_config.TRUSTED_USER_CA_KEYS]
        assert claim.certificate is not None
        if path is None or not await trio.to_thread.run_sync(self._is_trusted, path, claim.certificate.authority):
            return None
        if not self._names_principals:
            return permissions_by_principals([AuthorizedPrincipal(self.account.name)], claim)
        refusal = Refusal("the certificate is for no principal that is let in")
        of_file = await trio.to_thread.run_sync(self._principals_of_file)
        answer = refusal if of_file is None else permissions_by_principals(of_file.entries, claim)
        if isinstance(answer, Refusal):
            of_command = await self._principals_of_command(claim)
            answer = answer if of_command is None else permissions_by_principals(of_command.entries, claim)
        return answer

    @property
    def _names_principals(self) -> bool:
        keywords = (sshd_config.AUTHORIZED_PRINCIPALS_FILE, sshd_config.AUTHORIZED_PRINCIPALS_COMMAND)
        return any(self.settings[keyword] is not None for keyword in keywords)

    def _is_trusted(self, path: str, authority: PublicKey) -> bool:
        try:
            return authority in read_key_list(path)
        except KeyFileError as error:
            _log.error("TrustedUserCAKeys: no certificate is taken: %s", error)
            return False

    def _principals_of_file(self) -> ParsedPrincipals | None:
        keyword = sshd_config.AUTHORIZED_PRINCIPALS_FILE
        written = self.settings[keyword]
        if written is None:
            return None
        path = self._expanded(lambda: self._files.path(written, keyword.name))
        return None if path is None else self._files.read(path, read_authorized_principals)

    async def _principals_of_command(self, claim: Claim) -> ParsedPrincipals | None:
        written = self.settings[sshd_config.AUTHORIZED_PRINCIPALS_COMMAND]
        if written is None or not self.exists:
            return None
        command = AccountCommand("AuthorizedPrincipalsCommand", written, self.settings[sshd_config.AUTHORIZED_PRINCIPALS_COMMAND_USER])
        assert claim.certificate is not None
        output = await command.output({**account_tokens(self.account), **certificate_tokens(claim.certificate, self._digest)})
        return None if output is None else parse_authorized_principals(output.encode("utf-8", "surrogateescape"), command.keyword)

    @property
    def _digest(self) -> str:
        return self.settings[sshd_config.FINGERPRINT_HASH]

    def _expanded(self, expand: Callable[[], T]) -> T | None:
        try:
            return expand()
        except ConfigError as error:
            _log.error("%s", error)
            return None


def _key_of(claim: Claim) -> PublicKey:
    key = claim.public_key if claim.certificate is None else claim.certificate.public_key
    assert key is not None  # a claim has one or the other
    return key
