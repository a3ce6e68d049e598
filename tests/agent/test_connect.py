"""Where the agent is: ``SSH_AUTH_SOCK`` and what IdentityAgent can say."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.agent.double import SoftwareAgent
from tests.agent.keyring import key_of
from tests.fuzz.choices import check_text
from trio_ssh import LocalProtocolError
from trio_ssh.agent import AgentError, AgentUnavailable, agent_path, open_agent

ENVIRON = {"SSH_AUTH_SOCK": "/run/agent", "MY_AGENT": "/run/mine", "EMPTY": "", "_2": "/run/two"}


@pytest.mark.parametrize(
    ("setting", "path"),
    [
        (None, "/run/agent"),
        ("SSH_AUTH_SOCK", "/run/agent"),
        ("none", None),
        ("", None),
        ("/run/other", "/run/other"),
        ("relative", "relative"),
        ("$MY_AGENT", "/run/mine"),
        ("${MY_AGENT}", "/run/mine"),
        ("$_2", "/run/two"),
        ("$SSH_AUTH_SOCK", "/run/agent"),
        ("$MISSING", None),
        ("$EMPTY", None),
        ("NONE", "NONE"),
    ],
)
def test_identity_agent(setting, path) -> None:
    assert agent_path(setting, ENVIRON) == path


def test_the_home_and_the_real_environment(monkeypatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/real")
    assert agent_path() == "/run/real"
    assert agent_path("~/.agent") == "/home/ada/.agent"
    monkeypatch.delenv("SSH_AUTH_SOCK")
    assert agent_path() is None
    monkeypatch.setenv("SSH_AUTH_SOCK", "")
    assert agent_path() is None


@pytest.mark.parametrize("setting", ["$", "${}", "$1A", "$A-B", "$A/B", "${A", "$A}", "$\x1b", "$Ü"])
def test_no_name_of_a_variable(setting) -> None:
    with pytest.raises(LocalProtocolError, match="names no variable") as caught:
        agent_path(setting, ENVIRON)
    check_text(caught.value)


async def test_over_a_socket(tmp_path: Path, monkeypatch, nursery, agent: SoftwareAgent) -> None:
    path = tmp_path / "agent"
    socket = trio.socket.socket(trio.socket.AF_UNIX)
    await socket.bind(str(path))
    socket.listen()
    agent.hold(key_of("ssh-ed25519"), "mine")
    await nursery.start(partial(trio.serve_listeners, agent.serve, [trio.SocketListener(socket)]))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    for setting in (None, str(path), "$SSH_AUTH_SOCK"):
        async with await open_agent(setting) as client:
            assert [identity.comment for identity in await client.list_identities()] == ["mine"]


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        (None, r"there is no agent: SSH_AUTH_SOCK is not set; start one with: eval \$\(ssh-agent\)"),
        ("none", r"no agent is to be used: the setting says none"),
        ("$MISSING_VARIABLE", r"there is no agent: MISSING_VARIABLE is not set"),
        ("/nowhere/agent", r"cannot reach the agent at /nowhere/agent: No such file or directory; is it still running\?"),
        ("/nowhere/\x1b[2J", r"cannot reach the agent at /nowhere/\\x1b\[2J: "),
        ("/a" * 100, r"cannot reach the agent at /a/a"),
        ("/a\0b", r"cannot reach the agent at /a\\x00b"),
    ],
)
async def test_no_agent(setting, text, monkeypatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(AgentUnavailable, match=text) as caught:
        await open_agent(setting)
    check_text(caught.value)
    assert isinstance(caught.value, AgentError)


async def test_nobody_listens_any_more(tmp_path: Path) -> None:
    path = tmp_path / "agent"
    socket = trio.socket.socket(trio.socket.AF_UNIX)
    await socket.bind(str(path))
    socket.close()
    assert os.path.exists(path)  # noqa: ASYNC240
    with pytest.raises(AgentUnavailable, match="Connection refused; is it still running"):
        await open_agent(str(path))
