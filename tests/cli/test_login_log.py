"""What the log says of attempts: sshd's words, nothing secret, and not more than so many lines a second."""

from __future__ import annotations

import logging

import pytest

from trio_ssh import UNKNOWN_USER, AuthAttempted, ConnectionEnded
from trio_ssh.cli.login_log import FAILED_LINES_PER_SECOND, attempt_text, login_observer

PEER = "192.0.2.7 port 4711"


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (
            AuthAttempted("ada", "publickey", "granted", "ED25519 SHA256:x", PEER),
            "Accepted publickey for ada from 192.0.2.7 port 4711 ssh2: ED25519 SHA256:x",
        ),
        (AuthAttempted("ada", "password", "granted", "", PEER), "Accepted password for ada from 192.0.2.7 port 4711 ssh2"),
        (AuthAttempted("ada", "password", "partial", "", PEER), "Partial password for ada from 192.0.2.7 port 4711 ssh2"),
        (
            AuthAttempted("ada", "password", "refused", "the password is wrong", PEER),
            "Failed password for ada from 192.0.2.7 port 4711 ssh2: the password is wrong",
        ),
        (
            AuthAttempted("eve\x1b", "password", "refused", UNKNOWN_USER.detail, PEER),
            "Failed password for invalid user eve\\x1b from 192.0.2.7 port 4711 ssh2",
        ),
        (AuthAttempted("ada", "frobnicate\n", "refused", "", ""), "Failed frobnicate\\n for ada ssh2"),
        (AuthAttempted("ada", "publickey", "question", "ED25519 SHA256:x", PEER), ""),
        (AuthAttempted("ada", "none", "refused", "", PEER), ""),
        (AuthAttempted("ada", "none", "granted", "", PEER), "Accepted none for ada from 192.0.2.7 port 4711 ssh2"),
    ],
)
def test_lines(event, text):
    assert attempt_text(event) == text


async def test_e15_failures_are_paced(caplog, autojump_clock):
    caplog.set_level(logging.INFO)
    observe = login_observer(logging.getLogger("trio_ssh.test"))
    for number in range(10_000):
        observe(AuthAttempted(f"user{number}", "password", "refused", UNKNOWN_USER.detail, PEER))
    assert len(caplog.messages) == FAILED_LINES_PER_SECOND
    observe(AuthAttempted("ada", "password", "granted", "", PEER))
    assert caplog.messages[-1].startswith("Accepted password for ada")


async def test_what_is_logged_at_which_level(caplog):
    caplog.set_level(logging.INFO)
    observe = login_observer(logging.getLogger("trio_ssh.test"))
    observe(AuthAttempted("ada", "publickey", "partial", "ED25519 SHA256:x", PEER))
    observe(ConnectionEnded(None))
    assert caplog.messages == ["Partial publickey for ada from 192.0.2.7 port 4711 ssh2: ED25519 SHA256:x"]
    failed = AuthAttempted("ada", "publickey", "refused", "ED25519 SHA256:x: no line has this key", PEER)
    observe(failed)
    assert len(caplog.messages) == 1
    login_observer(logging.getLogger("trio_ssh.test"), verbose=True)(failed)
    assert caplog.messages[-1] == "Failed publickey for ada from 192.0.2.7 port 4711 ssh2: ED25519 SHA256:x: no line has this key"
    caplog.set_level(logging.DEBUG)
    login_observer(logging.getLogger("trio_ssh.test"))(ConnectionEnded(None))
    assert caplog.messages[-1] == "connection ended: closed by us"
