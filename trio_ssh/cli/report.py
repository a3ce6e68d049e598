"""How the tools speak to their user: one clear line for each failure, exit status 255, no traceback unless -v asks for it."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import sys
import termios
from collections.abc import Callable, Iterator, Sequence

import attrs
import trio

from ..config import LogLevel
from ..errors import ConfigError, SSHError, printable
from .options import UsageError

FAILURE = 255  # ssh(1), EXIT STATUS
LINE_CHARACTERS_MAX = 4096
SERVER_LINES_PER_SECOND = 100

log = logging.getLogger("trio_ssh.cli")

_CLIENT_LEVELS = {
    LogLevel.QUIET: logging.CRITICAL + 1,
    LogLevel.FATAL: logging.CRITICAL,
    LogLevel.ERROR: logging.ERROR,
    LogLevel.INFO: logging.WARNING,
    LogLevel.VERBOSE: logging.INFO,
}
_SERVER_LEVELS = {**_CLIENT_LEVELS, LogLevel.INFO: logging.INFO}


class LineFormatter(logging.Formatter):
    """Each record as whole lines in which nothing can steer a terminal; `line_end` is asked for at each record."""

    def __init__(self, pattern: str, line_end: Callable[[], str] = lambda: "\n", *, tracebacks: bool = False) -> None:
        super().__init__(pattern)
        self._line_end = line_end
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        if record.exc_info and not self._tracebacks:
            error = record.exc_info[1]
            text = f"{record.getMessage()} ({type(error).__name__}: {error})"
            record = logging.makeLogRecord({**record.__dict__, "exc_info": None, "exc_text": None, "msg": text, "args": None})
        end = self._line_end()
        return "".join(printable(line, LINE_CHARACTERS_MAX) + end for line in super().format(record).splitlines())


def _end_of_stderr_line() -> str:
    """A terminal in raw mode does not go back to the beginning of the line by itself."""
    try:
        is_raw = not termios.tcgetattr(2)[1] & termios.OPOST
    except termios.error:
        return "\n"
    return "\r\n" if is_raw else "\n"


def log_to_stderr(tool: str, level: LogLevel, *, server: bool = False) -> None:
    """Log lines go to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    pattern = "%(message)s" if server else f"{tool}: %(message)s"
    handler.setFormatter(LineFormatter(pattern, _end_of_stderr_line, tracebacks=level >= LogLevel.DEBUG1))
    handler.terminator = ""
    _install(handler, level, server)


def log_to_file(tool: str, path: str, level: LogLevel, *, server: bool = False) -> None:
    """Log lines are added to a file. Raises `ConfigError`."""
    try:
        handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ConfigError(f"-E {printable(path)}: the log file cannot be written: {error.strerror}") from None
    pattern = f"%(asctime)s {tool}[{os.getpid()}]: %(message)s"
    handler.setFormatter(LineFormatter(pattern, tracebacks=level >= LogLevel.DEBUG1))
    handler.terminator = ""
    _install(handler, level, server)


def log_to_syslog(tool: str, level: LogLevel, facility: str = "AUTH") -> None:
    """Log lines go to the system's log where there is one, else nowhere. `facility` is one of SyslogFacility (sshd_config(5))."""
    from logging.handlers import SysLogHandler

    try:
        handler: logging.Handler = SysLogHandler("/dev/log", SysLogHandler.facility_names[facility.lower()])
    except OSError:
        handler = logging.NullHandler()
    handler.setFormatter(LineFormatter(f"{tool}[{os.getpid()}]: %(message)s", lambda: ""))
    _install(handler, level, True)


@attrs.define(eq=False)
class LineRate:
    """A filter for a server's log: so many records pass in a second, then one that says how many did not (hardening E15)."""

    per_second: int = SERVER_LINES_PER_SECOND
    _second: int = -1
    _passed: int = 0
    _left_out: int = 0

    def __call__(self, record: logging.LogRecord) -> bool:
        second = int(record.created)
        if second != self._second:
            self._second, self._passed = second, 0
        if self._passed >= self.per_second:
            self._left_out += 1
            return False
        self._passed += 1
        if self._left_out:
            record.msg, record.args = f"({self._left_out} lines were left out) {record.getMessage()}", None
            self._left_out = 0
        return True


def _install(handler: logging.Handler, level: LogLevel, server: bool) -> None:
    if server and level < LogLevel.DEBUG1:
        handler.addFilter(LineRate())
    logging.raiseExceptions = False  # a log that cannot be written is no reason to write about it
    library = logging.getLogger("trio_ssh")
    for old in library.handlers[:]:
        library.removeHandler(old)
        old.close()
    library.addHandler(handler)
    library.propagate = False
    library.setLevel((_SERVER_LEVELS if server else _CLIENT_LEVELS).get(level, logging.DEBUG))


def say(text: str) -> None:
    """A line on stderr, if there is one."""
    with contextlib.suppress(OSError):
        os.write(2, (text + _end_of_stderr_line()).encode("utf-8", "backslashreplace"))


def run_tool(tool: str, main: Callable[[Sequence[str]], int], words: Sequence[str] | None) -> int:
    """Call `main` with the words behind the program's name; whatever goes wrong becomes one line and exit status 255."""
    keep_standard_files()
    log_to_stderr(tool, LogLevel.INFO)
    try:
        return main(sys.argv[1:] if words is None else words)
    except KeyboardInterrupt:
        return FAILURE
    except BrokenPipeError:
        # Whoever read what we print has had enough, as in ``trio-sshd -T | head``; what is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return FAILURE
    except Exception as error:
        cause = first_cause(error)
        text, expected = describe(cause)
        log.critical("%s", text)
        if not expected:
            log.debug("the traceback:", exc_info=cause)
        return FAILURE


def ending_signals() -> list[signal.Signals]:
    """The signals that tell us to end. Those that we were started to ignore (nohup, a job in the background) stay ignored."""
    others = (signal.SIGINT, signal.SIGHUP)
    return [signal.SIGTERM, *(number for number in others if signal.getsignal(number) is not signal.SIG_IGN)]


def keep_standard_files() -> None:
    """Where one of stdin, stdout and stderr is closed, no file that we open may take its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError as error:
            if error.errno == errno.EBADF:
                os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def first_cause(error: BaseException) -> BaseException:
    """The exception that tells most: of a group the first real one, of a broken stream what broke it."""
    if isinstance(error, BaseExceptionGroup):
        leaves = list(_leaves(error))
        return first_cause(next((leaf for leaf in leaves if isinstance(leaf, SSHError)), leaves[0]))
    if isinstance(error, trio.BrokenResourceError) and error.__cause__ is not None:
        return first_cause(error.__cause__)
    return error


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        elif not isinstance(error, trio.Cancelled):
            yield error


def describe(error: BaseException) -> tuple[str, bool]:
    """One line about it, and whether it is a failure that a user can cause (any other is a mistake of ours)."""
    if isinstance(error, (UsageError, SSHError)):
        return str(error), True
    if isinstance(error, OSError):
        where = f"{printable(str(error.filename))}: " if error.filename else ""
        return f"{where}{error.strerror or error}", True
    return f"internal error: {type(error).__name__}: {error} (-v shows more)", False
