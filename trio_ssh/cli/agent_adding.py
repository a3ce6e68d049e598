"""AddKeysToAgent: a key that was read from a file to log in goes to the agent, so that its passphrase need not be given again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import attrs
import trio

from .. import PrivateKey, Signer, SSHError, printable
from ..agent.connect import open_agent
from ..agent.constraints import Confirm, Lifetime
from ..config.ssh_values import AddKeys, AddKeysMode
from .report import log

AskPassphrase = Callable[[str], Awaitable[str | None]]
AskYesNo = Callable[[str], Awaitable[bool]]


@attrs.define(eq=False)
class AgentAdding:
    """Knows what passphrases were given, until the login is over. `agent` is where the agent is, as IdentityAgent has it."""

    wanted: AddKeys
    agent: str | None
    ask_passphrase: AskPassphrase | None
    confirm: AskYesNo
    _given: dict[str, str] = attrs.field(factory=dict, repr=False)

    async def passphrase(self, path: str) -> str | None:
        """Ask for it, and keep it."""
        answer = None if self.ask_passphrase is None else await self.ask_passphrase(path)
        if answer is not None:
            self._given[path] = answer
        return answer

    def watch(self, path: str, signers: Sequence[Signer]) -> list[Signer]:
        """The same signers, which add the file's key when they have signed."""
        return [AddingSigner(self, path, signer) for signer in signers]

    async def add(self, path: str) -> None:
        """That it cannot be added is told, and no error."""
        if self.wanted.mode is AddKeysMode.ASK and not await self.confirm(f"Add key {printable(path, 300)} to the agent (yes/no)? "):
            return
        confirm = [Confirm()] if self.wanted.mode is AddKeysMode.CONFIRM else []
        lifetime = [Lifetime(self.wanted.seconds)] if self.wanted.seconds is not None else []
        try:
            key = await trio.to_thread.run_sync(PrivateKey.from_file, path, self._given.pop(path, None))
            async with await open_agent(self.agent) as agent:
                await agent.add(key, constraints=[*lifetime, *confirm])
        except SSHError as error:
            log.info("%s was not added to the agent: %s", printable(path, 300), error)
        else:
            log.info("%s was added to the agent", printable(path, 300))


@attrs.frozen
class AddingSigner:
    """A signer of a key in a file: a `Signer` of `connect`."""

    adding: AgentAdding
    path: str
    signer: Signer

    @property
    def algorithms(self) -> Sequence[str]:
        return self.signer.algorithms

    @property
    def key_blob(self) -> bytes:
        return self.signer.key_blob

    @property
    def ask_first(self) -> bool:
        """A key that the server does not want is not added."""
        return True

    async def sign(self, algorithm: str, data: bytes) -> bytes:
        signature = await self.signer.sign(algorithm, data)
        await self.adding.add(self.path)
        return signature
