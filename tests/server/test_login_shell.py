"""login_shell() with real processes: shells, pipes and terminals of this machine."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from pathlib import Path

import pytest
import trio

from tests.server.fake_session import MY_NAME, FakeSession, run, serving
from trio_ssh.connection.terminal import Terminal
from trio_ssh.server.login_shell import login_shell

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
TERMINAL = Terminal("vt100", columns=91, rows=37)
SHELL = login_shell()


# --- without a terminal ------------------------------------------------------------------------------------------------------------------


async def test_a_command_gives_its_output_errors_and_status() -> None:
    session = FakeSession("echo out; echo err >&2; exit 7")
    assert await run(session, SHELL) == b"out\n"
    assert session.stderr.data == b"err\n"
    assert session.ending == 7


async def test_a_command_may_hold_what_is_not_text() -> None:
    session = FakeSession(b"printf '%s' '\xff\xfe'".decode("utf-8", "surrogateescape"))
    assert await run(session, SHELL) == b"\xff\xfe"


async def test_a_shell_is_a_login_shell_that_reads_its_input() -> None:
    session = FakeSession()
    output = await run(session, SHELL, b'echo "name $0"\nexit 3\n')
    assert b"name -" in output
    assert session.ending == 3


async def test_eof_reaches_the_command_and_comes_back() -> None:
    session = FakeSession("cat; echo end")
    assert await run(session, SHELL, b"abc") == b"abcend\n"


async def test_megabytes_go_through_both_ways() -> None:
    data = os.urandom(1 << 20) * 9
    session = FakeSession("cat")
    async with serving(session, SHELL), trio.open_nursery() as nursery:

        async def send() -> None:
            await session.client.send_all(data)
            await session.client.send_eof()

        nursery.start_soon(send)
        digest, size = hashlib.sha256(), 0
        while chunk := await session.client.receive_some():
            digest.update(chunk)
            size += len(chunk)
    assert (size, digest.digest()) == (len(data), hashlib.sha256(data).digest())
    assert session.ending == 0


async def test_output_that_nobody_takes_stops_the_command() -> None:
    """`yes` can fill the pipe and one buffer; the rest waits for the client."""
    session = FakeSession("echo $$; exec yes", tight=True)
    async with serving(session, SHELL) as scope:
        pid = int((await session.client.receive_some()).split()[0])
        await trio.testing.wait_all_tasks_blocked(0.1)
        written = _written(pid)
        await trio.testing.wait_all_tasks_blocked(0.1)
        assert _written(pid) == written < 1 << 20
        scope.cancel()


def _written(pid: int) -> int:
    """Bytes that a process has written so far."""
    return int(Path(f"/proc/{pid}/io").read_text().split("wchar: ")[1].split()[0])


async def test_input_that_the_command_does_not_read_stops_the_client(tmp_path: Path) -> None:
    fifo = tmp_path / "go"
    os.mkfifo(fifo)
    session = FakeSession(f"read line < {fifo}; wc -c", tight=True)
    size = 4 << 20
    all_taken = trio.Event()

    async def send() -> None:
        await session.client.send_all(bytes(size))  # taken at once; but nobody comes for more before it is written
        await session.client.send_all(b"x")
        all_taken.set()
        await session.client.send_eof()

    async with serving(session, SHELL), trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await trio.testing.wait_all_tasks_blocked(0.1)
        assert not all_taken.is_set()
        await trio.to_thread.run_sync(fifo.write_text, "go\n")
        assert int(await session.read_all()) == size + 1
    assert session.ending == 0


async def test_a_command_that_does_not_want_its_input_is_no_error(tmp_path: Path) -> None:
    fifo = tmp_path / "go"
    os.mkfifo(fifo)
    session = FakeSession(f"exec 0<&-; read line < {fifo}; echo still here; exit 2", tight=True)
    async with serving(session, SHELL):
        for _ in range(12):  # more than pipe and buffers hold: it must be thrown away
            await session.client.send_all(bytes(100_000))
        await trio.to_thread.run_sync(fifo.write_text, "go\n")
        assert await session.read_all() == b"still here\n"
    assert session.ending == 2


async def test_closed_outputs_are_an_eof_while_the_command_goes_on() -> None:
    session = FakeSession("exec >&- 2>&-; read line; exit 9")
    async with serving(session, SHELL):
        assert await session.read_all() == b""
        assert session.ending is None
        await session.client.send_all(b"go\n")
    assert session.ending == 9


async def test_a_background_process_that_holds_the_pipe_does_not_hold_back_the_exit_status() -> None:
    session = FakeSession("{ read line; echo late; } <&0 & exit 5")
    async with serving(session, SHELL):
        await session.ended.wait()
        assert session.ending == 5
        await session.client.send_all(b"go\n")
        assert await session.read_all() == b"late\n"


async def test_a_background_process_without_the_pipes_is_left_alone() -> None:
    session = FakeSession("setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo $!")
    pid = int(await run(session, SHELL))
    os.kill(pid, signal.SIGKILL)  # raises if it had not lived on


# --- signals and endings -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "told"), [("TERM", "TERM"), ("SEGV", "SEGV"), ("XCPU", "XCPU@openssh.com")])
async def test_a_command_that_a_signal_ends_says_which(name: str, told: str) -> None:
    session = FakeSession(f"ulimit -c 0; kill -{name} $$")
    await run(session, SHELL)
    assert session.ending == told


async def test_a_signal_of_the_client_reaches_the_command_and_its_children() -> None:
    child = "(trap 'echo child; exit' TERM; echo ready; sleep 1000 & wait)"
    session = FakeSession(f"trap 'wait; echo parent; exit 4' TERM; {child} & wait; wait")
    async with serving(session, SHELL):
        await session.read_until(b"ready\n")
        await session.signals_in.send("NO SUCH SIGNAL")
        await session.signals_in.send("TERM")
        assert sorted((await session.read_all()).split()) == [b"child", b"parent"]
    assert session.ending == 4


async def test_what_the_server_ignores_the_command_does_not() -> None:
    """As where a shell script put the server into the background."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        session = FakeSession("kill -HUP $$; echo ignored")
        assert await run(session, SHELL) == b""
        assert session.ending == "HUP"
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


# --- the client goes away ---------------------------------------------------------------------------------------------------------------


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


STUBBORN = "trap '' HUP TERM; sleep 1000 & echo $$ $! ready; while :; do sleep 1000; done"


@pytest.mark.parametrize("terminal", [None, TERMINAL], ids=["pipes", "terminal"])
@pytest.mark.parametrize("command", ["sleep 1000 & echo $$ $! ready; wait", STUBBORN], ids=["polite", "stubborn"])
async def test_nobody_outlives_a_client_that_goes(terminal: Terminal | None, command: str) -> None:
    session = FakeSession(command, terminal=terminal)
    async with serving(session, SHELL) as scope:
        first, second = (int(word) for word in (await session.read_until(b"ready")).split()[-3:-1])
        assert _alive(first)
        assert _alive(second)
        started = trio.current_time()
        scope.cancel()
    assert trio.current_time() - started < 4
    assert not _alive(first)
    assert not _alive(second)


async def test_a_hang_up_is_told_to_who_listens(tmp_path: Path) -> None:
    note = tmp_path / "note"
    session = FakeSession(f"trap 'echo bye > {note}; exit' HUP; echo ready; while :; do sleep 0.01; done")
    async with serving(session, SHELL) as scope:
        await session.read_until(b"ready\n")
        scope.cancel()
    assert note.read_text() == "bye\n"


async def test_a_stopped_command_ends_as_well() -> None:
    session = FakeSession("echo $$; kill -STOP $$; echo never")
    async with serving(session, SHELL) as scope:
        pid = int(await session.read_until(b"\n"))
        scope.cancel()
    assert not _alive(pid)


async def test_a_session_of_its_own_lives_on() -> None:
    session = FakeSession("setsid sh -c 'echo $$; exec sleep 1000 >/dev/null' & sleep 1000")
    async with serving(session, SHELL) as scope:
        pid = int(await session.read_until(b"\n"))
        scope.cancel()
    assert _alive(pid)
    os.kill(pid, signal.SIGKILL)


async def test_a_client_that_breaks_off_ends_the_command() -> None:
    """The stream breaks before the cancellation comes."""
    session = FakeSession("echo $$; while :; do echo more; done")
    async with serving(session, SHELL):
        pid = int((await session.read_until(b"\n")).split()[0])
        await session.client.aclose()
    assert not _alive(pid)


# --- at a terminal -----------------------------------------------------------------------------------------------------------------------


async def test_a_command_at_a_terminal_has_it_for_its_own() -> None:
    ids = "ps -o tpgid=,pgid=,sid= -p $$; echo $$"
    session = FakeSession(f"tty; stty size; echo $TERM $SSH_TTY; {ids}; echo own > /dev/tty; exit 7", terminal=TERMINAL)
    async with serving(session, SHELL):
        lines = (await session.read_all()).replace(b"\r\n", b"\n").decode().splitlines()
    name = lines[0]
    assert name.startswith("/dev/")
    assert lines[1:3] == ["37 91", f"vt100 {name}"]
    assert set(lines[3].split()) == {lines[4]}
    assert lines[5] == "own"
    assert session.ending == 7


async def test_a_shell_at_a_terminal_is_interactive() -> None:
    session = FakeSession(terminal=TERMINAL)
    async with serving(session, SHELL):
        await session.client.send_all(b'PS1=; stty -echo; case $- in *i*) echo inter""active $0;; esac; set -m && echo job""control\n')
        seen = await session.read_until(b"jobcontrol")
        assert b"interactive -" in seen
        assert b"no job control" not in seen
        await session.client.send_all(b"exit 6\n")
        await session.read_all()
    assert session.ending == 6


async def test_the_terminal_modes_of_the_client_are_set() -> None:
    wanted = [(1, 24), (53, 0), (72, 0), (128, 9600), (129, 9600)]
    modes = b"".join(bytes([opcode]) + argument.to_bytes(4, "big") for opcode, argument in wanted)
    session = FakeSession("stty -a; exit", terminal=Terminal("dumb", modes=modes + b"\0"))
    async with serving(session, SHELL):
        shown = (await session.read_all()).decode()
    assert "intr = ^X;" in shown
    assert "speed 9600 baud" in shown
    assert {"-echo", "-onlcr", "icanon"} <= set(shown.split())
    assert "\r\n" not in shown


async def test_a_new_size_is_told() -> None:
    session = FakeSession("trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.01; done", terminal=TERMINAL)
    async with serving(session, SHELL):
        await session.read_until(b"ready")
        await session.resizes_in.send(Terminal("vt100", columns=1 << 20, rows=5))
        assert b"5 65535" in await session.read_all()


async def test_ctrl_c_interrupts_the_foreground() -> None:
    session = FakeSession("trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.01; done", terminal=TERMINAL)
    async with serving(session, SHELL):
        await session.read_until(b"ready")
        await session.client.send_all(b"\x03")
        assert b"caught" in await session.read_all()
    assert session.ending == 3


async def test_a_signal_of_the_client_reaches_the_foreground_job_only() -> None:
    session = FakeSession(terminal=TERMINAL)
    async with serving(session, SHELL):
        await session.client.send_all(b'PS1=; stty -echo; echo sta""rt\n')
        await session.read_until(b"start")
        await session.client.send_all(b"sh -c 'echo rea\"\"dy; exec sleep 1000'; echo status $?\n")
        await session.read_until(b"ready")
        await session.signals_in.send("TERM")
        await session.read_until(b"status 143")
        await session.client.send_all(b"exit\n")
        await session.read_all()
    assert session.ending == 0


@pytest.mark.parametrize("text", [b"", b"line\n", b"no line"])
async def test_an_eof_at_a_terminal_is_what_a_person_would_type(text: bytes) -> None:
    session = FakeSession("stty -echo; echo ready; cat; echo end", terminal=TERMINAL)
    async with serving(session, SHELL):
        await session.read_until(b"ready\r\n")
        if text:
            await session.client.send_all(text)
        await session.client.send_eof()
        assert await session.read_all() == text.replace(b"\n", b"\r\n") + b"end\r\n"


async def test_all_that_was_written_to_a_terminal_arrives() -> None:
    session = FakeSession("seq 1 20000", terminal=TERMINAL)
    async with serving(session, SHELL):
        output = await session.read_all()
    assert output == b"".join(b"%d\r\n" % number for number in range(1, 20001))


async def test_a_background_process_at_a_terminal_does_not_hold_the_session() -> None:
    session = FakeSession("trap '' HUP; sleep 1000 & echo $!; exit 2", terminal=TERMINAL)
    async with serving(session, SHELL):
        pid = int(await session.read_all())
    assert session.ending == 2
    os.kill(pid, signal.SIGKILL)


# --- who ---------------------------------------------------------------------------------------------------------------------------------


async def test_the_environment_is_the_accounts_with_what_the_client_may_add() -> None:
    asked = {"LC_X": "1", "PATH": "/evil", "HOME": "/evil", "LD_PRELOAD": "/evil.so", "BASH_ENV": "/evil"}
    session = FakeSession("env", environ=asked, peer="192.0.2.1 port 40000")
    output = await run(session, login_shell(environ={"SITE": "here"}))
    lines = dict(line.split("=", 1) for line in output.decode().splitlines())
    assert lines["LC_X"] == "1"
    assert lines["SITE"] == "here"
    assert lines["USER"] == lines["LOGNAME"] == MY_NAME
    assert lines["SSH_CLIENT"] == "192.0.2.1 40000 2222"
    assert "/evil" not in "".join(lines.values())


async def test_a_subsystem_is_a_command_line_by_name() -> None:
    handler = login_shell(subsystems={"echo": "read line; echo got $line"})
    assert await run(FakeSession(subsystem="echo"), handler, b"it\n") == b"got it\n"
    session = FakeSession(subsystem="other")
    assert await run(session, handler) == b""
    assert b"no subsystem 'other'" in session.stderr.data
    assert session.ending == 1


async def test_an_unknown_account_is_refused() -> None:
    for name in ("no-such-account", "nul\0", "\udcff"):
        session = FakeSession("echo hello", username=name)
        assert await run(session, SHELL) == b""
        assert b"there is no account" in session.stderr.data
        assert session.ending == 1


async def test_one_account_may_serve_everybody() -> None:
    session = FakeSession("id -un", username="no-such-account")
    assert await run(session, login_shell(account=MY_NAME)) == MY_NAME.encode() + b"\n"


async def test_a_server_without_privileges_serves_its_own_account_only() -> None:
    """In a process of its own, which gives up being root."""
    script = (
        "import os, trio\n"
        "from tests.server.fake_session import FakeSession\n"
        "from trio_ssh.server.login_shell import login_shell\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "async def main():\n"
        "    session = FakeSession('id -u', username='root')\n"
        "    print(await login_shell()(session.as_session), session.stderr.data.decode())\n"
        "trio.run(main)\n"
    )
    done = await trio.run_process([sys.executable, "-c", script], capture_stdout=True, cwd=Path(__file__).parents[2])
    assert done.stdout.startswith(b"1 this server runs without privileges")


@ROOT_ONLY
async def test_a_home_that_is_missing_is_replaced_and_said_so() -> None:
    session = FakeSession(username="nobody")
    await run(session, SHELL)
    assert b"cannot enter the home folder /nonexistent" in session.stderr.data


# --- at every point of its life ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("terminal", [None, TERMINAL], ids=["pipes", "terminal"])
async def test_a_client_may_go_at_any_point(terminal: Terminal | None) -> None:
    """Nothing stays behind: no process, no file (`nothing_stays_behind` looks). The n-th round lets the handler take n steps."""
    for steps in range(0, 60, 3):
        session = FakeSession("cat & wait", terminal=terminal)
        async with serving(session, SHELL) as scope:
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            scope.cancel()


async def test_a_terminal_given_up_is_an_eof_and_the_status_still_comes(tmp_path: Path) -> None:
    fifo = tmp_path / "go"
    os.mkfifo(fifo)
    session = FakeSession(f"echo bye; exec <&- >&- 2>&-; read line < {fifo}; exit 8", terminal=TERMINAL)
    async with serving(session, SHELL):
        assert await session.read_all() == b"bye\r\n"
        assert session.ending is None
        await trio.to_thread.run_sync(fifo.write_text, "go\n")
    assert session.ending == 8
