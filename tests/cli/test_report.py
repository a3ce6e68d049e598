"""What users get to read: one line for each failure, and nothing in it that steers a terminal."""

from __future__ import annotations

import logging
import os

import pytest
import trio

from trio_ssh import ConnectionLost, HostKeyUnknown, Negotiated, RekeyCause
from trio_ssh.cli.event_text import event_text, logging_observer
from trio_ssh.cli.report import LineFormatter, LineRate, describe, first_cause
from trio_ssh.connection.events import AuthAttempted, ConnectionEnded, ConnectionOpened, KeyExchangeDone
from trio_ssh.protocol.role import Role


def record(text: str, *args: object, exc_info: BaseException | None = None) -> logging.LogRecord:
    info = None if exc_info is None else (type(exc_info), exc_info, None)
    return logging.LogRecord("trio_ssh", logging.WARNING, "file", 1, text, args, info)


def test_log_lines_are_printable():
    formatter = LineFormatter("tool: %(message)s", lambda: "\r\n")
    assert formatter.format(record("a\x1b[2J %s", "\u202e")) == "tool: a\\x1b[2J \\u202e\r\n"
    assert formatter.format(record("one\ntwo")) == "tool: one\r\ntwo\r\n"
    assert len(formatter.format(record("x" * 10000))) == 4096 + 2


def test_tracebacks_only_where_asked_for():
    error = ValueError("bad")
    assert LineFormatter("%(message)s").format(record("it failed", exc_info=error)) == "it failed (ValueError: bad)\n"
    assert "ValueError: bad" in LineFormatter("%(message)s", tracebacks=True).format(record("it failed", exc_info=error)).splitlines()


def test_the_cause_that_tells_most():
    lost = ConnectionLost("cut")
    broken = trio.BrokenResourceError()
    broken.__cause__ = lost
    assert first_cause(broken) is lost
    assert first_cause(BaseExceptionGroup("", [ValueError(), BaseExceptionGroup("", [lost])])) is lost
    plain = ValueError()
    assert first_cause(ExceptionGroup("", [plain])) is plain


def test_descriptions():
    assert describe(HostKeyUnknown("who?")) == ("who?", True)
    assert describe(OSError(2, os.strerror(2), "/x")) == ("/x: No such file or directory", True)
    text, expected = describe(ZeroDivisionError("oops"))
    assert (text, expected) == ("internal error: ZeroDivisionError: oops (-v shows more)", False)


NEGOTIATED = Negotiated(
    kex="k",
    host_key="h",
    cipher_client_to_server="aes128-ctr",
    cipher_server_to_client="aes128-ctr",
    mac_client_to_server="m",
    mac_server_to_client="m",
    compression_client_to_server="none",
    compression_server_to_client="none",
    strict_kex=True,
    ext_info=True,
)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (ConnectionOpened(Role.CLIENT, "x\x1b"), "connected; the peer is x\\x1b"),
        (KeyExchangeDone(RekeyCause.PEER, 0.002, NEGOTIATED), "keys agreed in 2.0 ms because the peer asked: k (strict), h, aes128-ctr, m"),
        (AuthAttempted("ada", "password", "refused"), "authentication of ada by password: refused"),
        (ConnectionEnded(None), "connection ended: closed by us"),
    ],
)
def test_events(event, text):
    assert event_text(event) == text


def test_an_observer_only_where_somebody_reads():
    logger = logging.Logger("test", logging.WARNING)
    assert logging_observer(logger, logging.INFO) is None
    assert logging_observer(logger, logging.WARNING) is not None


def test_e15_a_servers_log_takes_so_many_lines_a_second():
    """The first ones pass; the next second's first says how many did not."""
    rate = LineRate(3)

    def record(second: float, text: str) -> logging.LogRecord:
        made = logging.makeLogRecord({"msg": "%s", "args": (text,)})
        made.created = second
        return made

    passed = [record(10.0 + n / 10, str(n)) for n in range(8)]
    assert [rate(one) for one in passed] == [True] * 3 + [False] * 5
    following = record(11.0, "next")
    assert rate(following)
    assert following.getMessage() == "(5 lines were left out) next"
    after = record(11.1, "after")
    assert rate(after)
    assert after.getMessage() == "after"
