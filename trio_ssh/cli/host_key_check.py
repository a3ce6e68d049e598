"""StrictHostKeyChecking: what ``trio-ssh`` does about the server's key (ssh_config(5))."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import attrs

from .. import KeyFileError, KnownHosts, PublicKey, printable
from ..config import StrictHostKeyChecking
from ..keys import Changed, Unknown, randomart_title
from .report import log

Ask = Callable[[str], Awaitable[str | None]]

QUESTION = "Are you sure you want to continue connecting (yes/no/[fingerprint])? "
QUESTION_AGAIN = "Please type 'yes', 'no' or the fingerprint: "


@attrs.define(eq=False)
class HostKeyCheck:
    """A policy for `trio_ssh.connect`. `ask` puts a question to the user: the answer, or None if nobody is there.

    `changed` is True once a changed key was let pass (StrictHostKeyChecking=no): then no password may be sent (hardening E06).
    """

    known_hosts: KnownHosts
    checking: StrictHostKeyChecking
    ask: Ask
    changed: bool = False

    async def key_types(self, host: str, port: int) -> Sequence[str]:
        return await self.known_hosts.key_types(host, port)

    async def check(self, host: str, port: int, key: PublicKey) -> None:
        """Raises `HostKeyError` unless the key is the right one, or is let pass."""
        result = await self.known_hosts.look_up(host, port, key)
        if isinstance(result, Unknown) and await self._accepts(host, port, key, result):
            await self._save(host, port, key)
            return
        if isinstance(result, Changed) and self.checking is StrictHostKeyChecking.NO:
            self.changed = True
            where = result.entries[0]
            log.warning(
                "WARNING: the host key of %s HAS CHANGED (%s line %d has another one); going on as StrictHostKeyChecking=no asks, "
                "but no password is sent",
                shown_host(host, port),
                where.path,
                where.line,
            )
            return
        await self.known_hosts.check(host, port, key)

    async def _accepts(self, host: str, port: int, key: PublicKey, unknown: Unknown) -> bool:
        match self.checking:
            case StrictHostKeyChecking.YES:
                return False
            case StrictHostKeyChecking.NO:
                return True
            case StrictHostKeyChecking.ACCEPT_NEW:
                return not unknown.other_types
            case StrictHostKeyChecking.ASK:
                return await self._user_accepts(host, port, key, unknown)

    async def _user_accepts(self, host: str, port: int, key: PublicKey, unknown: Unknown) -> bool:
        lines = [
            f"The authenticity of host '{shown_host(host, port)}' can't be established.",
            f"{randomart_title(key.algorithm, key.bits).split()[0]} key fingerprint is {key.fingerprint()}.",
        ]
        if unknown.other_types:
            types = ", ".join(sorted({entry.key_type for entry in unknown.other_types}))
            lines.append(f"WARNING: keys of other types are saved for this host: {printable(types, 200)}.")
        answer = await self.ask("\n".join([*lines, QUESTION]))
        while answer is not None:
            said = answer.strip()
            if said.lower() == "yes" or said == key.fingerprint():
                return True
            if said.lower() == "no" or said.startswith("SHA256:"):
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


def shown_host(host: str, port: int) -> str:
    """As known_hosts writes it."""
    return printable(host, 300) if port == 22 else f"[{printable(host, 300)}]:{port}"
