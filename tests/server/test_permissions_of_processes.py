"""Permissions and the processes of this machine: SSH_ORIGINAL_COMMAND, the variables of keys, and ``~/.ssh/rc``."""

from __future__ import annotations

import os
from pathlib import Path

import attrs
import pytest

from tests.server.fake_session import MY_NAME, FakeSession, run, serving
from trio_ssh import Permissions
from trio_ssh.connection.terminal import Terminal
from trio_ssh.server.accounts import Account
from trio_ssh.server.child import shell_program
from trio_ssh.server.environment import child_environment
from trio_ssh.server.login_shell import Handler, login_shell, setting_of
from trio_ssh.server.process_groups import living
from trio_ssh.server.run_command import run_command
from trio_ssh.server.serve_program import Setting, serve_program
from trio_ssh.server.session import ServerSession
from trio_ssh.server.user_rc import user_rc

TERMINAL = Terminal("vt100", columns=91, rows=37)
SHELL = login_shell()


# --- forced commands ---------------------------------------------------------------------------------------------------------------------


def forced(wanted: str | None, subsystem: str | None = None) -> FakeSession:
    """A session as it is when a command has taken the place of what was wanted."""
    script = 'echo "${SSH_ORIGINAL_COMMAND-unset}"'
    session = FakeSession(script, permissions=Permissions(force_command=script))
    session.original_command = subsystem or wanted
    return session


@pytest.mark.parametrize(
    ("session", "told"), [(forced(None), b"unset\n"), (forced("rm 'a b'"), b"rm 'a b'\n"), (forced(None, "sftp"), b"sftp\n")]
)
async def test_a_forced_command_learns_what_was_asked_for(session: FakeSession, told: bytes) -> None:
    assert await run(session, SHELL) == told


async def test_nobody_else_learns_it() -> None:
    session = FakeSession('echo "${SSH_ORIGINAL_COMMAND-unset}"', environ={"SSH_ORIGINAL_COMMAND": "forged"})
    assert await run(session, SHELL) == b"unset\n"


async def test_the_servers_own_command_stands_above_a_keys() -> None:
    session = forced("wanted")
    assert await run(session, run_command('echo "server: $SSH_ORIGINAL_COMMAND"')) == b"server: wanted\n"


# --- variables ---------------------------------------------------------------------------------------------------------------------------


async def test_variables_of_a_key_stand_above_those_of_the_account_but_not_above_those_of_the_connection() -> None:
    granted = (("HOME", "/elsewhere"), ("A_B", "x y=z"), ("SSH_CLIENT", "forged"), ("LD_X", "1"), ("A_B", "last"))
    session = FakeSession('echo "$HOME|$A_B|$SSH_CLIENT|$LD_X"', peer="192.0.2.1 port 40000", permissions=Permissions(environ=granted))
    assert await run(session, SHELL) == b"/elsewhere|last|192.0.2.1 40000 2222|1\n"


def test_who_wins() -> None:
    ada = Account("ada", 1000, 1000, "/home/ada", "/bin/zsh", (1000,))
    granted = [("TERM", "key"), ("PATH", "key"), ("SSH_TTY", "key"), ("LANG", "key"), ("X", "key"), ("Y", "key")]
    found = child_environment(
        ada, {"LANG": "client"}, term="vt100", tty="/dev/pts/7", granted=granted, addresses={"X": "address"}, extra={"Y": "server"}
    )
    expected = {"TERM": "key", "PATH": "key", "SSH_TTY": "/dev/pts/7", "LANG": "key", "X": "address", "Y": "server"}
    assert {name: found[name.encode()].decode() for name in expected} == expected


# --- ~/.ssh/rc ---------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def account(tmp_path: Path) -> Account:
    """Ours, with a home of its own."""
    (tmp_path / ".ssh").mkdir()
    return Account(MY_NAME, os.geteuid(), os.getegid(), str(tmp_path), "/bin/bash", tuple(os.getgroups()))


def write_rc(account: Account, script: str) -> None:
    (Path(account.home) / ".ssh" / "rc").write_text(script)


def serving_account(account: Account, command: str | None, *, user_rc: bool = True) -> Handler:
    """What `login_shell` does once it has the account."""

    async def serve(session: ServerSession) -> int:
        return await serve_program(session, account, shell_program(account.shell, command), Setting(user_rc=user_rc))

    return serve


async def test_rc_is_executed_before_a_command_at_home_with_its_variables_and_without_its_input(account: Account) -> None:
    write_rc(account, 'echo "rc: $0 $PWD $A" >&2; cat >&2; echo from rc; exit 3\n')
    session = FakeSession(environ={"A": "b"})
    output = await run(session, serving_account(account, 'echo "command"; cat; exit 5'), b"input")
    assert output == b"from rc\ncommand\ninput"
    assert session.stderr.data.decode() == f"rc: {account.home}/.ssh/rc {account.home} b\n"
    assert session.ending == 5


async def test_rc_is_no_program_of_its_own_and_needs_no_mode(account: Account) -> None:
    write_rc(account, "#!/nonexistent\necho rc\n")
    (Path(account.home) / ".ssh" / "rc").chmod(0o400)
    assert await run(FakeSession(), serving_account(account, "echo command")) == b"rc\ncommand\n"


async def test_a_home_with_blanks_and_quotes(account: Account, tmp_path: Path) -> None:
    odd = tmp_path / "it's a $HOME"
    (odd / ".ssh").mkdir(parents=True)
    account = attrs.evolve(account, home=str(odd))
    write_rc(account, "echo rc\n")
    assert await run(FakeSession(), serving_account(account, "echo command")) == b"rc\ncommand\n"


@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/sh"])
@pytest.mark.parametrize("terminal", [None, TERMINAL], ids=["pipes", "terminal"])
async def test_rc_before_a_login_shell(account: Account, shell: str, terminal: Terminal | None) -> None:
    account = attrs.evolve(account, shell=shell)
    write_rc(account, "echo rc; test -t 0 && echo a terminal\n")
    session = FakeSession(terminal=terminal)
    async with serving(session, serving_account(account, None)):
        await session.client.send_all(b'echo "name $0 shlvl ${SHLVL-0}"; test -t 0 && tty < /dev/tty; exit 4\n')
        output = (await session.read_all()).replace(b"\r\n", b"\n")
    assert output.index(b"rc\n") < output.index(f"name -{os.path.basename(shell)} shlvl {int(shell == '/bin/bash')}\n".encode())
    assert b"a terminal\n" not in output
    assert (b"/dev/" in output.partition(b"name -")[2]) is (terminal is not None)
    assert session.ending == 4


async def test_rc_at_a_terminal_before_a_command(account: Account) -> None:
    write_rc(account, "tty < /dev/tty; stty size < /dev/tty\n")
    session = FakeSession(terminal=TERMINAL)
    async with serving(session, serving_account(account, "echo command")):
        assert (await session.read_all()).endswith(b"\r\n37 91\r\ncommand\r\n")


async def test_without_an_rc_nothing_is_different(account: Account) -> None:
    assert await user_rc(account) is None
    assert await user_rc(attrs.evolve(account, home="/nonexistent")) is None
    (Path(account.home) / ".ssh").rmdir()
    (Path(account.home) / ".ssh").write_text("")
    assert await user_rc(account) is None
    session = FakeSession()
    assert await run(session, serving_account(account, "echo command")) == b"command\n"


async def test_an_rc_that_only_the_account_can_see_to_be_missing(account: Account, tmp_path: Path) -> None:
    """Where we could not look, the account's process looks: here there is none."""
    write_rc(account, "echo rc\n")
    first = await user_rc(account)
    assert first is not None
    (tmp_path / ".ssh" / "rc").unlink()
    (tmp_path / ".ssh" / "rc").symlink_to("rc")  # a loop: there is something, but nobody can look at it
    session = FakeSession()
    assert await run(session, serving_account(account, "echo command")) == b"command\n"
    assert session.stderr.data == b""


async def test_no_user_rc_executes_none(account: Account) -> None:
    write_rc(account, "echo rc\n")
    assert await run(FakeSession(), serving_account(account, "echo command", user_rc=False)) == b"command\n"


async def test_a_shell_that_executes_nothing_executes_no_rc(account: Account, tmp_path: Path) -> None:
    nologin = tmp_path / "nologin"
    nologin.write_text("#!/bin/sh\necho not here; exit 1\n")
    nologin.chmod(0o755)
    write_rc(account, "echo rc\n")
    session = FakeSession()
    assert await run(session, serving_account(attrs.evolve(account, shell=str(nologin)), "echo command")) == b"not here\nnot here\n"
    assert session.ending == 1


async def test_a_client_that_leaves_during_the_rc_ends_it(account: Account, tmp_path: Path) -> None:
    write_rc(account, "cut -d' ' -f5 /proc/$$/stat; sleep 1000; echo more\n")
    session = FakeSession()
    async with serving(session, serving_account(account, "echo command")) as scope:
        group = int(await session.read_until(b"\n"))
        scope.cancel()
    assert await living({group}) == set()


async def test_a_missing_program_behind_an_rc_is_told(account: Account) -> None:
    write_rc(account, "")
    session = FakeSession()
    await run(session, serving_account(attrs.evolve(account, shell="/nonexistent/shell"), "echo command"))
    assert b"not found" in session.stderr.data
    assert session.ending == 127


def test_login_shell_asks_the_permissions() -> None:
    session = FakeSession("x", permissions=Permissions(user_rc=False))
    assert setting_of(session.as_session, {"A": "b"}) == Setting({"A": "b"}, user_rc=False)
    session = FakeSession("x", permissions=Permissions(force_command="x"))
    assert setting_of(session.as_session, {"A": "b"}) == Setting({"SSH_ORIGINAL_COMMAND": "x", "A": "b"}, user_rc=True)
