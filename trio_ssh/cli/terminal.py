"""The terminal that we run in: its size and modes, raw mode, and questions to the person at it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import termios
from collections.abc import Iterator

import attrs
import trio

from .. import Terminal
from ..server.terminal_modes import encode_modes

_size = struct.Struct("@HHHH")  # struct winsize: rows, columns, and the same in pixels
_NO_MODES = b"\0"
ANSWER_BYTES_MAX = 4096


def is_terminal(number: int) -> bool:
    """Is this file descriptor a terminal?"""
    return os.isatty(number)


def read_terminal(number: int) -> Terminal:
    """The terminal at a file descriptor as we want it on the other side; what cannot be found out takes its usual value."""
    columns, rows, width_pixels, height_pixels = terminal_size(number)
    try:
        modes = encode_modes(number)
    except termios.error:
        modes = _NO_MODES  # -tt without a terminal
    return Terminal(os.environ.get("TERM", "dumb"), columns, rows, width_pixels, height_pixels, modes)


def terminal_size(number: int) -> tuple[int, int, int, int]:
    """Columns, rows, and the same in pixels."""
    try:
        rows, columns, width_pixels, height_pixels = _size.unpack(fcntl.ioctl(number, termios.TIOCGWINSZ, bytes(_size.size)))
    except OSError:
        return 80, 24, 0, 0
    return columns or 80, rows or 24, width_pixels, height_pixels


@contextlib.contextmanager
def raw_mode(number: int) -> Iterator[None]:
    """Every key goes to us as it is, nothing is echoed; afterwards the terminal is as it was."""
    saved = termios.tcgetattr(number)
    raw = termios.tcgetattr(number)
    raw[0] |= termios.IGNPAR
    raw[0] &= ~(termios.ISTRIP | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON | termios.IXANY | termios.IXOFF)
    raw[1] &= ~termios.OPOST
    raw[3] &= ~(termios.ISIG | termios.ICANON | termios.ECHO | termios.ECHOE | termios.ECHOK | termios.ECHONL | termios.IEXTEN)
    raw[6][termios.VMIN], raw[6][termios.VTIME] = 1, 0
    termios.tcsetattr(number, termios.TCSADRAIN, raw)
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):  # the terminal may be gone
            termios.tcsetattr(number, termios.TCSADRAIN, saved)


@attrs.frozen
class ControllingTerminal:
    """Asks the person at ``/dev/tty``, whatever stdin and stdout are connected to. One question at a time."""

    _turn: trio.Lock = attrs.field(factory=trio.Lock)

    async def ask(self, question: str, *, echo: bool) -> str | None:
        """The line that was typed, without its end; None if there is no terminal, or the person has closed the input."""
        async with self._turn:
            try:
                number = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
            except OSError:
                return None
            try:
                with _echo(number, echo):
                    os.write(number, question.encode("utf-8", "backslashreplace"))
                    return await _read_line(number)
            except OSError:
                return None
            finally:
                os.close(number)


async def _read_line(number: int) -> str | None:
    # The terminal is in canonical mode: one read gives one line, and is only made when there is one.
    await trio.lowlevel.wait_readable(number)
    answer = os.read(number, ANSWER_BYTES_MAX)
    return answer.decode("utf-8", "replace").rstrip("\r\n") if answer else None


@contextlib.contextmanager
def _echo(number: int, wanted: bool) -> Iterator[None]:
    saved = termios.tcgetattr(number)
    settings = termios.tcgetattr(number)
    settings[0] |= termios.ICRNL
    settings[3] |= termios.ICANON | termios.ISIG
    if wanted:
        settings[3] |= termios.ECHO
    else:
        settings[3] &= ~(termios.ECHO | termios.ECHOE | termios.ECHOK)
        settings[3] |= termios.ECHONL
    # What was typed before the question is no answer to it.
    termios.tcsetattr(number, termios.TCSAFLUSH, settings)
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(number, termios.TCSAFLUSH, saved)
