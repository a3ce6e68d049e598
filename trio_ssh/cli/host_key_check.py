"""StrictHostKeyChecking: what ``trio-ssh`` does about the server's key (ssh_config(5))."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Sequence

import attrs

from .. import KeyFileError, KnownHosts, PublicKey, printable
from ..client.host_key_changes import HostKeyChanges
from ..client.host_keys import HostKeyDoubt, HostKeyQuestion
from ..config import StrictHostKeyChecking
from ..config.ssh_values import UpdateHostKeys
from ..keys import Changed, Known, Unknown
from ..keys.certificates import Certificate
from .report import log
from .terminal import is_terminal

Ask = Callable[[str], Awaitable[str | None]]

QUESTION = "Are you sure you want to continue connecting (yes/no/[fingerprint])? "
QUESTION_AGAIN = "Please type 'yes', 'no' or the fingerprint: "
UPDATE_QUESTION = "Accept updated hostkeys? (yes/no): "


def stdin_is_terminal() -> bool:
    """Is our input typed by a person?"""
    return is_terminal(0)


@attrs.define(eq=False)
class HostKeyCheck:
    """A policy for `trio_ssh.connect`. `ask` puts a question to the user: the answer, or None if nobody is there.

    `alias` is the name to look the host up by, without a port (HostKeyAlias); `shows_picture` is VisualHostKey, `trusts_localhost`
    NoHostAuthenticationForLocalhost, `update` UpdateHostKeys. `changed` is True once a changed key was let pass
    (StrictHostKeyChecking=no): then no password may be sent and nothing forwarded (hardening E06).
    """

    known_hosts: KnownHosts
    checking: StrictHostKeyChecking
    ask: Ask
    alias: str = ""
    shows_picture: bool = False
    trusts_localhost: bool = False
    update_keys: UpdateHostKeys = UpdateHostKeys.NO
    digest: str = "SHA256"
    """FingerprintHash: what fingerprints are shown by, and a user may answer with."""
    changed: bool = False
    is_at_terminal: Callable[[], bool] = stdin_is_terminal
    """May a session be reading the terminal?"""

    async def key_types(self, host: str, port: int) -> Sequence[str]:
        return () if self._is_trusted(host) else await self.known_hosts.key_types(*self._name(host, port))

    async def check(self, host: str, port: int, key: PublicKey) -> HostKeyDoubt | None:
        """Raises `HostKeyError` unless the key is the right one, or is let pass."""
        return None if self._is_trusted(host) else await self._check(*self._name(host, port), key)

    async def check_certificate(self, host: str, port: int, certificate: Certificate) -> HostKeyDoubt | None:
        """The same for a server with a certificate. If its authority is not known for the host, the key in it is what counts."""
        if self._is_trusted(host):
            return None
        name, port = self._name(host, port)
        if await self.known_hosts.vouched_for(name, port, certificate):
            self._show(certificate.public_key)
            return None
        return await self._check(name, port, certificate.public_key)

    def _name(self, host: str, port: int) -> tuple[str, int]:
        return (self.alias, 22) if self.alias else (host, port)

    def _is_trusted(self, host: str) -> bool:
        return self.trusts_localhost and not self.alias and is_localhost(host)

    async def _check(self, host: str, port: int, key: PublicKey) -> HostKeyDoubt | None:
        result = await self.known_hosts.look_up(host, port, key)
        if isinstance(result, Unknown) and await self._accepts(host, port, key, result):
            await self._save(host, port, key)
            return None
        if isinstance(result, Changed) and self.checking is StrictHostKeyChecking.NO:
            self.changed = True
            where = result.entries[0]
            log.warning(
                "WARNING: the host key of %s HAS CHANGED (%s line %d has another one); going on as StrictHostKeyChecking=no asks, "
                "but no password is sent, and nothing is forwarded",
                shown_host(host, port),
                where.path,
                where.line,
            )
            return HostKeyDoubt.CHANGED
        await self.known_hosts.check(host, port, key)
        if isinstance(result, Known):
            self._show(key)
        return None

    def _show(self, key: PublicKey) -> None:
        if self.shows_picture:
            log.warning("Host key fingerprint is %s\n%s", key.fingerprint(self.digest), key.randomart(self.digest))

    # -- a key that is not known -------------------------------------------------------------------------------------------------

    async def _accepts(self, host: str, port: int, key: PublicKey, unknown: Unknown) -> bool:
        match self.checking:
            case StrictHostKeyChecking.YES:
                return False
            case StrictHostKeyChecking.NO:
                return True
            case StrictHostKeyChecking.ACCEPT_NEW:
                return not unknown.other_types
            case StrictHostKeyChecking.ASK:
                return await self._user_accepts(await self.known_hosts.question(host, port, key, unknown))

    async def _user_accepts(self, question: HostKeyQuestion) -> bool:
        fingerprint = question.key.fingerprint(self.digest)
        answer = await self.ask(f"{question.text(self.digest)}\n{QUESTION}")
        while answer is not None:
            said = answer.strip()
            if said.lower() == "yes" or said == fingerprint:
                return True
            if said.lower() == "no" or said.startswith(("SHA256:", "MD5:")):
                return False
            answer = await self.ask(QUESTION_AGAIN)
        return False

    async def _save(self, host: str, port: int, key: PublicKey) -> None:
        try:
            path = await self.known_hosts.save(host, port, key)
        except KeyFileError as error:
            log.warning("the host key could not be saved: %s", error)
            return
        log.warning("Warning: permanently added '%s' (%s) to %s.", shown_host(host, port), key.algorithm, path)

    # -- further keys of a known server ------------------------------------------------------------------------------------------

    @property
    def learns_keys(self) -> bool:
        return self.update_keys is not UpdateHostKeys.NO and self.checking is not StrictHostKeyChecking.NO

    async def plan_update(self, host: str, port: int, key: PublicKey, announced: Sequence[PublicKey]) -> HostKeyChanges | None:
        if self._is_trusted(host):
            return None
        return await self.known_hosts.plan_update(*self._name(host, port), key, announced)

    async def update(self, changes: HostKeyChanges) -> None:
        """Save them, with UpdateHostKeys=ask if the user says so. A session that reads the terminal is not interrupted: it gets a line."""
        ask = self.update_keys is UpdateHostKeys.ASK
        lines = [f"Learned new hostkey: {key.algorithm} {key.fingerprint()}" for key in changes.added]
        lines += [f"Deprecating obsolete hostkey: {key.algorithm} {key.fingerprint()}" for key in changes.removed]
        if ask and self.is_at_terminal():
            log.warning("The server has other host keys than are saved; UpdateHostKeys=yes would save them.")
        elif not ask or await self._user_accepts_update(lines):
            for line in lines:
                log.info("%s", line)
            await self.known_hosts.update(changes)

    async def _user_accepts_update(self, lines: Sequence[str]) -> bool:
        about = ["The server has updated its host keys.", "These changes were verified by the server's existing trusted key."]
        answer = await self.ask("\n".join([*lines, *about, UPDATE_QUESTION]))
        while answer is not None and answer.strip().lower() not in ("yes", "no"):
            answer = await self.ask("Please type 'yes' or 'no': ")
        return answer is not None and answer.strip().lower() == "yes"


def shown_host(host: str, port: int) -> str:
    """As known_hosts writes it."""
    return printable(host, 300) if port == 22 else f"[{printable(host, 300)}]:{port}"


def is_localhost(host: str) -> bool:
    """Is this the machine that we run on, by its usual name or a loopback address?"""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
