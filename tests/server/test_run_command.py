"""run_command() with real processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio

from tests.server.fake_session import MY_NAME, FakeSession, run, serving
from trio_ssh.connection.terminal import Terminal
from trio_ssh.server.run_command import run_command

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
TERMINAL = Terminal("vt100", columns=91, rows=37)


@pytest.mark.parametrize(
    ("session", "original"),
    [
        (FakeSession, b"unset"),
        (lambda: FakeSession("rm -rf 'a b'"), b"rm -rf 'a b'"),
        (lambda: FakeSession(subsystem="sftp"), b"sftp"),
        (lambda: FakeSession("one", environ={"SSH_ORIGINAL_COMMAND": "forged"}), b"one"),
        (lambda: FakeSession(environ={"SSH_ORIGINAL_COMMAND": "forged"}), b"unset"),
    ],
)
async def test_the_fixed_command_runs_and_learns_what_was_asked_for(session, original: bytes) -> None:
    handler = run_command('echo "${SSH_ORIGINAL_COMMAND-unset}"; exit 4')
    asked = session()
    assert await run(asked, handler) == original + b"\n"
    assert asked.ending == 4


async def test_a_sequence_needs_no_shell() -> None:
    session = FakeSession()
    assert await run(session, run_command(["printf", "%s|", "a b", "$HOME", ";"])) == b"a b|$HOME|;|"
    assert session.ending == 0


async def test_a_function_chooses() -> None:
    handler = run_command(lambda session: ["echo", session.username, session.command or ""], takes_signals=True)
    assert await run(FakeSession("asked"), handler) == f"{MY_NAME} asked\n".encode()


async def test_a_terminal_if_asked_for() -> None:
    session = FakeSession(terminal=TERMINAL)
    async with serving(session, run_command(["sh", "-c", "stty size; test -t 0 && tty > /dev/tty; exit 3"])):
        assert (await session.read_all()).startswith(b"37 91\r\n/dev/")
    assert session.ending == 3


@pytest.mark.parametrize("terminal", [None, TERMINAL], ids=["pipes", "terminal"])
async def test_a_program_that_is_missing(terminal: Terminal | None) -> None:
    session = FakeSession(terminal=terminal)
    output = await run(session, run_command(["no-such-program-here", "x"]))
    assert b"not found" in output + session.stderr.data or b"No such file" in session.stderr.data
    assert session.ending == 127


@pytest.mark.parametrize("terminal", [None, TERMINAL], ids=["pipes", "terminal"])
async def test_a_program_that_cannot_be_executed(terminal: Terminal | None, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("text")
    session = FakeSession(terminal=terminal)
    await run(session, run_command([str(tmp_path / "plain")]))
    assert session.ending == 126


async def test_a_word_with_a_nul_is_told() -> None:
    session = FakeSession()
    await run(session, run_command(["echo", "a\0b"]))
    assert session.ending == 1
    assert b"null byte" in session.stderr.data


async def test_signals_of_the_client_do_not_reach_it_unless_allowed() -> None:
    """What does not come is seen by what comes instead: the input behind it."""
    for takes, ending in ((False, 0), (True, "TERM")):
        session = FakeSession()
        async with serving(session, run_command("echo ready; read line", takes_signals=takes)):
            await session.read_until(b"ready\n")
            await session.signals_in.send("TERM")
            await trio.testing.wait_all_tasks_blocked()  # the handler has taken it
            if not takes:
                await session.client.send_all(b"line\n")
            await session.read_all()
        assert session.ending == ending


@ROOT_ONLY
@pytest.mark.parametrize("terminal", [None, TERMINAL], ids=["pipes", "terminal"])
async def test_root_serves_another_account_as_that_account(terminal: Terminal | None) -> None:
    script = "id -un; id -ru; id -G; pwd; echo $HOME; echo by name > /dev/stdout; test -t 0 && stat -c '%U %a' $(tty); true"
    session = FakeSession(terminal=terminal, username="nobody")
    lines = (await run(session, run_command(["sh", "-c", script]))).replace(b"\r\n", b"\n").decode().splitlines()
    if terminal is not None:
        assert lines.pop(0) == "cannot enter the home folder /nonexistent; this is the root folder"
        assert lines.pop() == "nobody 620"
    assert lines == ["nobody", "65534", "65534", "/", "/nonexistent", "by name"]
    assert session.ending == 0


@ROOT_ONLY
async def test_processes_of_another_account_end_with_the_client() -> None:
    session = FakeSession(username="nobody")
    async with serving(session, run_command(["sh", "-c", "echo $$; sleep 1000 & wait"])) as scope:
        pid = int(await session.read_until(b"\n"))
        scope.cancel()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
