"""What ``trio-ssh`` asks its user for: passphrases, passwords, and the answers to a server's questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import attrs

from .. import Asked, KeyboardInteractive, Password, printable
from ..config import ssh_config
from .destination import Destination
from .report import log, say

TEXT_MAX = 4096


class Ask(Protocol):
    """Puts a question to the user: the answer, or None if nobody is there, or the person gives up."""

    async def __call__(self, question: str, /, *, echo: bool) -> str | None: ...


@attrs.define(eq=False)
class Login:
    """The questions of one login; who gives up once is not asked for that again."""

    destination: Destination
    ask: Ask
    _asked: int = 0
    _given_up: bool = False

    async def passphrase(self, path: str) -> str | None:
        return await self.ask(f"Enter passphrase for key '{printable(path)}': ", echo=False)

    async def confirms(self, question: str) -> bool:
        """Does the user say yes?"""
        answer = await self.ask(question, echo=True)
        return answer is not None and answer.strip().lower() == "yes"

    # -- passwords ---------------------------------------------------------------------------------------------------------------

    def password(self) -> Password:
        """Asked for as often as NumberOfPasswordPrompts says."""
        return Password(self._password, tries=self._tries(), change=self._new_password)

    async def _password(self) -> str | None:
        if self._given_up:
            return None
        if self._asked:
            log.warning("Permission denied, please try again.")
        self._asked += 1
        password = await self.ask(f"{self._who()}'s password: ", echo=False)
        self._given_up = password is None
        return password

    async def _new_password(self, text: str) -> str | None:
        """Twice the same, or not at all."""
        if text:
            say(printable(text, TEXT_MAX))
        while True:
            first = await self.ask(f"Enter {self._who()}'s new password: ", echo=False)
            if not first:
                return None
            second = await self.ask(f"Retype {self._who()}'s new password: ", echo=False)
            if first == second or second is None:
                return second
            say("Mismatch; try again, or enter nothing to give up.")

    # -- the server's questions --------------------------------------------------------------------------------------------------

    def keyboard_interactive(self) -> KeyboardInteractive:
        """As often as NumberOfPasswordPrompts says."""
        devices = self.destination.settings[ssh_config.KBD_INTERACTIVE_DEVICES]
        return KeyboardInteractive(self._answer, tries=self._tries(), submethods=",".join(devices or ()))

    async def _answer(self, asked: Asked) -> Sequence[str] | None:
        """Each question is shown with who it is for in front of it: its text is the server's, and could look like another's."""
        if self._given_up:
            return None
        for text in (asked.name, asked.instruction):
            for line in text.splitlines():
                say(printable(line, TEXT_MAX))
        answers = []
        for prompt in asked.prompts:
            answer = await self.ask(f"({self._who()}) {printable(prompt.text, TEXT_MAX)}", echo=prompt.echo)
            if answer is None:
                self._given_up = True
                return None
            answers.append(answer)
        return answers

    def _tries(self) -> int:
        return self.destination.settings[ssh_config.NUMBER_OF_PASSWORD_PROMPTS]

    def _who(self) -> str:
        return f"{printable(self.destination.user, 200)}@{printable(self.destination.host, 200)}"
