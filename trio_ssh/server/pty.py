"""A pseudo-terminal of the operating system: our side of it, and the side the session's process sits at."""

from __future__ import annotations

import fcntl
import grp
import os
import struct
import termios

import attrs
import trio

from ..connection.terminal import Terminal
from .accounts import Account
from .terminal_modes import apply_modes

_size = struct.Struct("@HHHH")  # struct winsize: rows, columns, and the same in pixels
_SIZE_MAX = 0xFFFF


@attrs.define(eq=False)
class Pty:
    """`master` is our side, a stream of what goes in and out; `slave` is a file descriptor of the other side, `name` its path.

    We hold the slave open only until the process is started: while nobody holds it, reading the master fails with EIO.
    """

    master: trio.lowlevel.FdStream
    slave: int
    name: str

    def resize(self, terminal: Terminal) -> None:
        """Tell the size; the foreground processes get SIGWINCH when it is a new one (RFC 4254 §6.7)."""
        wanted = (terminal.rows, terminal.columns, terminal.width_pixels, terminal.height_pixels)
        fcntl.ioctl(self.master.fileno(), termios.TIOCSWINSZ, _size.pack(*(min(n, _SIZE_MAX) for n in wanted)))

    def foreground_group(self) -> int | None:
        """The process group that Ctrl-C would reach, or None where there is none any more."""
        try:
            group = os.tcgetpgrp(self.master.fileno())
        except OSError:
            return None
        return group if group > 1 else None

    def end_of_input(self, *, at_line_start: bool) -> bytes:
        """What a person would type to say that no more comes: the terminal's end-of-file character, b"" where it has none.

        Inside a line the first one only hands over that line (termios(3), canonical mode), so it takes two.
        """
        characters = termios.tcgetattr(self.master.fileno())[6]
        character = characters[termios.VEOF]
        if not isinstance(character, bytes) or character[0] == os.fpathconf(self.master.fileno(), "PC_VDISABLE"):
            return b""
        return character if at_line_start else 2 * character

    def close_slave(self) -> None:
        if self.slave >= 0:
            os.close(self.slave)
            self.slave = -1

    def close(self) -> None:
        """Hangs up: the processes that still have it as their terminal get SIGHUP from the kernel."""
        self.close_slave()
        self.master.close()


def open_pty(terminal: Terminal, account: Account) -> Pty:
    """A new pseudo-terminal of that size and those modes, owned by the account. Raises `OSError`."""
    master, slave = os.openpty()  # neither becomes our own controlling terminal
    pty = Pty(trio.lowlevel.FdStream(master), slave, os.ttyname(slave))
    try:
        if not account.is_ours:
            _give_to(slave, account)
        pty.resize(terminal)
        apply_modes(slave, terminal.modes)
    except termios.error as error:
        pty.close()
        raise OSError(*error.args) from error
    except BaseException:
        pty.close()
        raise
    return pty


def _give_to(slave: int, account: Account) -> None:
    """Owned by the user; writable for the group "tty" alone, whose programs (write, wall) ask before they write."""
    try:
        group, mode = grp.getgrnam("tty").gr_gid, 0o620
    except KeyError:
        group, mode = account.gid, 0o600
    os.fchown(slave, account.uid, group)
    os.fchmod(slave, mode)
