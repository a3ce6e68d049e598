"""Where trio-ssh goes: names and paths from the command line and the configuration, and what is refused before anything is done."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from pathlib import Path

import pytest
import trio

from tests.config.test_ssh_match import METACHARACTERS, STRINGS
from trio_ssh import ConnectionLost, HostKeyError, HostKeyRevoked, KnownHosts, PrivateKey
from trio_ssh.cli.destination import Destination, find
from trio_ssh.cli.dial import dial
from trio_ssh.cli.host_key_check import HostKeyCheck
from trio_ssh.cli.host_key_rules import HostKeyRules
from trio_ssh.cli.interfaces import InterfaceAddress, interface_addresses
from trio_ssh.cli.login import Login
from trio_ssh.cli.options import UsageError
from trio_ssh.cli.ssh import host_key_rules
from trio_ssh.cli.ssh_arguments import parse_arguments, split_destination
from trio_ssh.config import StrictHostKeyChecking, ssh_config
from trio_ssh.errors import ConfigError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


async def found(*words: str) -> Destination:
    return await find(parse_arguments(["-F", "none", *words]))


async def nobody(question: str, *, echo: bool = True) -> str | None:
    return None


async def confirm_nothing(question: str) -> bool:
    return False


# -- names ---------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", STRINGS, ids=ascii)
def test_e11_a_host_on_the_command_line(text):
    for words in ([text], ["--", text], [f"ada@{text}"]):
        with pytest.raises(UsageError):
            parse_arguments(words)


@pytest.mark.parametrize("text", METACHARACTERS, ids=ascii)
def test_e11_a_user_on_the_command_line(text):
    with pytest.raises(UsageError):
        split_destination(f"{text}@host")
    with pytest.raises(UsageError):
        parse_arguments([f"-l{text}", "host"] if text else ["-l", "", "host"])


async def test_e11_a_host_from_the_configuration():
    for name in ("a b", "%h;id", "-oProxyCommand=x", "$(id)"):
        with pytest.raises((UsageError, ConfigError)):
            await found("-o", f'HostName="{name}"', "host")


@pytest.mark.parametrize("name", ["ada", "a b", "DOMAIN\\ada", "a$b", "ada@corp.example", "josé", "a+b", "a%b"])
async def test_users_of_large_networks(name):
    assert (await found("-l", name, "host")).user == name


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "..", ".", "a/../b", "~root/x"])
async def test_e13_no_name_of_a_user_leads_a_path_elsewhere(name):
    destination = await found("-o", "IdentityFile=~/.ssh/%r", "-o", "UserKnownHostsFile=~/.ssh/%r", "-l", name, "host")
    with pytest.raises(ConfigError, match=r"cannot stand in a path for %r"):
        destination.identities(None, confirm_nothing)
    with pytest.raises(ConfigError, match=r"cannot stand in a path for %r"):
        destination.known_hosts()


@pytest.mark.parametrize("name", ["~root", "$HOME", "C:x", "%d", "${HOME}"])
async def test_e13_what_is_put_in_is_not_read_again(name, home):
    destination = await found("-o", "UserKnownHostsFile=~/.ssh/%r %r/x", "-o", f"User={name}", "host") if name != "${HOME}" else None
    if destination is None:
        with pytest.raises(UsageError, match="cannot be the name of a user"):
            await found("-o", f"User={name}", "host")
        return
    assert destination.known_hosts().paths[:2] == (f"{home}/.ssh/{name}", f"{name}/x")


def test_e13_an_empty_name():
    with pytest.raises(UsageError):
        split_destination("@host")


# -- tokens and variables ------------------------------------------------------------------------------------------------------------------


async def test_where_variables_are_put_in(monkeypatch, home):
    monkeypatch.setenv("WHERE", "/keys/%h")
    options = ["UserKnownHostsFile=${WHERE}/%h", "IdentityAgent=${WHERE}/agent", "GlobalKnownHostsFile=/x/%h"]
    destination = await found(*(word for option in options for word in ("-o", option)), "box")
    assert destination.known_hosts().paths == ("/keys/%h/box", "/x/%h")
    assert "identityagent /keys/%h/agent\n" in destination.settings_text()
    missing = await found("-o", "UserKnownHostsFile=${NOT_THERE}/x", "box")
    with pytest.raises(ConfigError, match=r"UserKnownHostsFile '\$\{NOT_THERE\}/x': there is no environment variable NOT_THERE"):
        missing.known_hosts()
    broken = await found("-o", "UserKnownHostsFile=${WHERE", "box")
    with pytest.raises(ConfigError, match=r"a variable is written \$\{NAME\}"):
        broken.known_hosts()


@pytest.mark.parametrize("setting", ["none", "SSH_AUTH_SOCK", "$MY_AGENT"])
async def test_names_of_agents_are_no_paths(setting):
    destination = await found("-o", f"IdentityAgent={setting}", "box")
    assert destination.identities(None, confirm_nothing).agent == setting


async def test_the_environment_to_send(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("LANG", "LC_", "FOO")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("LC_TIME", "x")
    monkeypatch.setenv("FOO", "1")
    options = ["SendEnv=LC_* FOO", "SendEnv=-F*", "SetEnv=A=1 LC_TIME=set"]
    destination = await found(*(word for option in options for word in ("-o", option)), "box")
    assert destination.environ() == {"LC_ALL": "C", "LC_TIME": "set", "A": "1"}


async def test_a_remote_command():
    destination = await found("-o", "RemoteCommand=cd /srv && exec bash -l %n", "box")
    assert destination.remote_command(parse_arguments(["box"])) == "cd /srv && exec bash -l box"
    with pytest.raises(UsageError, match=r"another in command line \(RemoteCommand\)"):
        destination.remote_command(parse_arguments(["box", "ls"]))
    assert (await found("-o", "RemoteCommand=none", "box")).remote_command(parse_arguments(["box", "ls"])) == "ls"


# -- what is refused -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "error"),
    [
        ("CheckHostIP=yes", "CheckHostIP: the value 'yes' is not supported"),
        ("PubkeyAuthentication=unbound", "PubkeyAuthentication: the value 'unbound' is not supported"),
        ("RefuseConnection=\"use the new host\x07\"", "the connection is refused: use the new host\\x07"),
    ],
)
async def test_values_that_are_not_honoured(option, error):
    with pytest.raises(ConfigError, match=f"^command line: {re.escape(error)}$"):
        await found("-o", option, "box")


async def test_match_exec_goes_through_the_shell(home, monkeypatch):
    config = home / "config"
    config.write_text("Match exec \"test '%h' = box && echo noise\"\nPort 7\nMatch exec 'kill -9 $$'\nPort 8\n")
    config.chmod(0o600)
    monkeypatch.setenv("SHELL", "/bin/sh")
    with pytest.raises(ConfigError, match="was ended by signal 9"):
        await find(parse_arguments(["-F", str(config), "box"]))
    config.write_text(config.read_text().partition("Match exec 'kill")[0])
    assert (await find(parse_arguments(["-F", str(config), "box"]))).port == 7
    monkeypatch.setenv("SHELL", "/nowhere/shell")
    with pytest.raises(ConfigError, match="/nowhere/shell cannot be run"):
        await find(parse_arguments(["-F", str(config), "box"]))


async def test_a_session_is_known_to_match(home):
    config = home / "config"
    git = "Match sessiontype exec command git-*\nUser git"
    config.write_text(f"{git}\nMatch sessiontype none\nPort 7\nMatch version trio_ssh_*\nCompression yes\n")
    config.chmod(0o600)
    destination = await find(parse_arguments(["-F", str(config), "box", "git-upload-pack", "x"]))
    assert destination.user == "git"
    destination = await find(parse_arguments(["-F", str(config), "-N", "box"]))
    assert destination.port == 7
    assert destination.settings[ssh_config.COMPRESSION]


# -- connecting ----------------------------------------------------------------------------------------------------------------------------


def test_interfaces():
    assert InterfaceAddress("lo", ipaddress.ip_address("127.0.0.1")) in interface_addresses()


@pytest.mark.parametrize("options", [[], ["-4"], ["-b", "127.0.0.2"], ["-B", "lo", "-4"], ["-o", "TCPKeepAlive=no", "-o", "IPQoS=none"]])
async def test_how_a_connection_is_made(options):
    destination = await found(*options, "127.0.0.1")
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener, await dial("127.0.0.1", listener.socket.getsockname()[1], destination.settings) as stream:
        ours = stream.socket.getsockname()[0]
        assert ours == ("127.0.0.2" if "-b" in options else "127.0.0.1")
        assert stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == ("TCPKeepAlive=no" not in options)


async def test_an_address_of_the_wrong_family():
    destination = await found("-6", "127.0.0.1")
    with pytest.raises(ConnectionLost, match=r"cannot connect to 127\.0\.0\.1 port 1: "):
        await dial("127.0.0.1", 1, destination.settings)


async def test_an_interface_that_is_not_there():
    destination = await found("-B", "nowhere9", "127.0.0.1")
    with pytest.raises(ConfigError, match=r"BindInterface: there is no interface 'nowhere9'"):
        await dial("127.0.0.1", 1, destination.settings)


async def test_several_attempts(autojump_clock):
    destination = await found("-o", "ConnectionAttempts=3", "127.0.0.1")
    start = trio.current_time()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ConnectionLost, match=r"Connection refused"):
        await dial("127.0.0.1", port, destination.settings)
    assert trio.current_time() - start == pytest.approx(2, abs=0.5)  # two pauses of a second, on a clock that jumps


# -- rules for the server's key ------------------------------------------------------------------------------------------------------------


def make_rules(home: Path, **fields) -> HostKeyRules:
    check = HostKeyCheck(KnownHosts([home / "known_hosts"]), StrictHostKeyChecking.ACCEPT_NEW, nobody)
    return HostKeyRules(check_known=check, **fields)


async def test_revoked_host_keys(home):
    revoked, good = PrivateKey.generate().public_key, PrivateKey.generate().public_key
    path = home / "revoked"
    path.write_text(f"# gone\n\n{revoked.to_openssh_line()}\n")
    rules = make_rules(home, revoked=str(path))
    await rules.check("box", 22, good)
    with pytest.raises(HostKeyRevoked, match=r"the host key of box, SHA256:.*, is revoked in .*revoked"):
        await rules.check("box", 22, revoked)
    path.unlink()
    with pytest.raises(HostKeyRevoked, match=r"no host key is accepted: RevokedHostKeys: .*cannot be read"):
        await rules.check("box", 22, good)
    path.write_text("rubbish")
    with pytest.raises(HostKeyRevoked, match="no host key is accepted"):
        await rules.check("box", 22, good)


async def test_the_size_of_rsa_host_keys(home):
    key = PrivateKey.generate("rsa", 2048).public_key
    await make_rules(home, rsa_bits=2048).check("box", 22, key)
    with pytest.raises(HostKeyError, match="the host key of box has 2048 bits, and RequiredRSASize wants 3072"):
        await make_rules(home, rsa_bits=3072).check("box", 22, key)


async def test_the_settings_become_rules(home):
    options = ["RevokedHostKeys=~/revoked-%h", "RequiredRSASize=4096", "HostKeyAlias=other", "VisualHostKey=yes", "HashKnownHosts=yes"]
    destination = await found(*(word for option in options for word in ("-o", option)), "box")
    rules = host_key_rules(destination, nobody)
    assert (rules.revoked, rules.rsa_bits) == (f"{home}/revoked-box", 4096)
    assert (rules.check_known.alias, rules.check_known.shows_picture) == ("other", True)
    assert rules.check_known.known_hosts.hash_hosts


# -- questions -----------------------------------------------------------------------------------------------------------------------------


async def test_a_changed_password_is_asked_for_twice():
    answers = iter(["new", "nwe", "new", "new"])
    asked: list[str] = []

    async def ask(question: str, *, echo: bool) -> str | None:
        asked.append(question)
        return next(answers)

    login = Login(await found("ada@box"), ask)
    change = login.password().change
    assert change is not None
    assert await change("expired") == "new"
    assert asked == ["Enter ada@box's new password: ", "Retype ada@box's new password: "] * 2
