"""Questions to the person in front of us: at the terminal, in the window of an askpass program, or on stdin (ssh(1), ENVIRONMENT).

Which way it goes is what ssh(1) says: the terminal if there is one, else the program that ``SSH_ASKPASS`` names if there is a display.
``SSH_ASKPASS_REQUIRE`` changes that: ``never`` wants no program, ``prefer`` prefers it where there is a display, ``force`` always takes it.
The program is run without a shell, with the question as its only argument.
"""

from __future__ import annotations

import contextlib
import enum
import os
import subprocess
from collections.abc import Callable, Mapping

import attrs
import trio

from ..errors import SSHError, printable
from .report import log
from .terminal import ANSWER_BYTES_MAX, ControllingTerminal

USUAL_ASKPASS = "/usr/bin/ssh-askpass"


class NoAnswer(SSHError):
    """A question was left open: the person has closed the input or the window."""


class Way(enum.Enum):
    """How a question reaches somebody."""

    TERMINAL = "the controlling terminal"
    ASKPASS = "the program of SSH_ASKPASS"
    NOBODY = "there is nobody to be asked"


def way_to_ask(environ: Mapping[str, str], *, has_terminal: bool) -> Way:
    """The way that the environment asks for."""
    display = bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))
    require = environ.get("SSH_ASKPASS_REQUIRE", "").lower()
    if require == "force" or (require == "prefer" and display):
        return Way.ASKPASS
    if has_terminal:
        return Way.TERMINAL
    return Way.ASKPASS if display and require != "never" else Way.NOBODY


def has_terminal() -> bool:
    """Have we a controlling terminal?"""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


@attrs.frozen
class Person:
    """Whoever started us, by the way that the environment asks for. One question at a time."""

    terminal: ControllingTerminal = attrs.field(factory=ControllingTerminal)
    _turn: trio.Lock = attrs.field(factory=trio.Lock)

    async def ask(self, question: str, *, echo: bool) -> str | None:
        """The line that was given, without its end; None if nobody can be asked, or the person has closed the input or the window."""
        async with self._turn:
            match way_to_ask(os.environ, has_terminal=has_terminal()):
                case Way.TERMINAL:
                    return await self.terminal.ask(question, echo=echo)
                case Way.ASKPASS:
                    return await run_askpass(question)
                case Way.NOBODY:
                    return None


async def run_askpass(question: str) -> str | None:
    """The first line that the askpass program prints; None if it fails or is dismissed (an exit status other than 0)."""
    program = os.environ.get("SSH_ASKPASS") or USUAL_ASKPASS
    try:
        # No shell: neither the program's name nor the question is ever looked into (hardening E11).
        result = await trio.run_process([program, question], stdin=subprocess.DEVNULL, capture_stdout=True, check=False)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        log.error("cannot run %s: %s; let SSH_ASKPASS name a program, or set SSH_ASKPASS_REQUIRE=never", printable(program), reason)
        return None
    if result.returncode != 0:
        return None
    answer: bytes = result.stdout[:ANSWER_BYTES_MAX]
    return answer.decode("utf-8", "replace").partition("\n")[0].removesuffix("\r")


# --- for tools that do nothing else meanwhile -------------------------------------------------------------------------------------------


def ask_secret(question: str) -> str:
    """Ask a question whose answer is not shown. Where nobody can be asked, a line of stdin is taken, and its end is an empty answer.

    Raises `NoAnswer` if a person has been asked and would not say.
    """
    if way_to_ask(os.environ, has_terminal=has_terminal()) is Way.NOBODY:
        with contextlib.suppress(OSError):
            os.write(2, question.encode("utf-8", "backslashreplace"))
        return read_line() or ""
    answer = trio.run(_ask_unseen, question)
    if answer is None:
        raise NoAnswer("no passphrase was given")
    return answer


async def _ask_unseen(question: str) -> str | None:
    return await Person().ask(question, echo=False)


def ask_new_passphrase(first: str, *, ask: Callable[[str], str] = ask_secret, tries: int = 3) -> str:
    """A new passphrase, given twice; `first` is the question. Raises `NoAnswer` after too many pairs that differ."""
    for _ in range(tries):
        passphrase = ask(first)
        if ask("Enter same passphrase again: ") == passphrase:
            return passphrase
        show("Passphrases do not match.  Try again.\n")
    raise NoAnswer(f"the two passphrases differed {tries} times; nothing was written")


def ask_plainly(question: str) -> str | None:
    """A question on stdout and its answer on stdin, as scripts expect of names and comments; None at the end of stdin."""
    show(question)
    return read_line()


def show(text: str) -> None:
    """Text on stdout, at once. Raises `OSError` if nobody reads it."""
    data = text.encode("utf-8", "backslashreplace")
    while data:
        data = data[os.write(1, data) :]


def read_line() -> str | None:
    """A line of stdin without its end; None at its end. Nothing behind the line is taken: the next question may be asked elsewhere."""
    line = bytearray()
    while len(line) < ANSWER_BYTES_MAX:
        byte = os.read(0, 1)
        if not byte and not line:
            return None
        if byte in (b"", b"\n"):
            break
        line += byte
    return line.decode("utf-8", "replace").removesuffix("\r")
