"""trio-ssh at a terminal, driven from its other side: questions, raw mode, sizes, keys, escapes."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.tools import AtTerminal, RunningServer, running, tool
from trio_ssh import PrivateKey


def test_a_new_host_and_a_shell(place):
    place.home.known_hosts.unlink()
    # The system's configuration may have it otherwise.
    with AtTerminal.run(place.home.ssh(place.port, "-o", "HashKnownHosts=no"), place.home.environ) as terminal:
        before = terminal.modes()
        terminal.expect(r"The authenticity of host '\[127\.0\.0\.1\]:\d+' can't be established")
        terminal.expect(r"continue connecting \(yes/no/\[fingerprint\]\)\? ")
        terminal.type("maybe\n")
        terminal.expect("Please type 'yes', 'no' or the fingerprint: ")
        terminal.type("yes\n")
        terminal.expect("permanently added")
        terminal.type("PS1=; stty -echo; echo re''ady\n")
        terminal.expect("ready\r\n")
        assert terminal.modes() != before  # raw
        terminal.type("tty; stty size; echo $TERM\n")
        terminal.expect(r"/dev/pts/\d+\r\n30 100\r\nxterm\r\n")
        terminal.type("exit 9\n")
        assert terminal.wait() == 9
        assert "Connection to 127.0.0.1 closed." in terminal.shown
        assert terminal.modes() == before
    assert place.home.known_hosts.read_text().startswith(f"[127.0.0.1]:{place.port} ssh-ed25519 ")


def test_a_new_host_refused(place):
    place.home.known_hosts.unlink()
    with AtTerminal.run(place.home.ssh(place.port), place.home.environ) as terminal:
        terminal.expect(r"\[fingerprint\]\)\? ")
        terminal.type("no\n")
        assert terminal.wait() == 255
        assert terminal.shown.count("trio-ssh: ") == 1
    assert not place.home.known_hosts.exists()


def at_terminal(place, *words: str) -> list[str]:
    return tool("ssh", "-t", "-p", str(place.port), "-i", str(place.home.user_key), "127.0.0.1", *words)


def test_a_resize_reaches_the_process(place):
    # No shell: one that is just starting a process when the interrupt comes may let that process have it alone.
    program = (
        "import os, signal, sys\n"
        "def say(text): os.write(1, (text + os.linesep).encode())\n"  # a print in a handler may meet a print
        "def tell(*_): say(f'{os.get_terminal_size().lines} {os.get_terminal_size().columns}')\n"
        "signal.signal(signal.SIGWINCH, tell)\n"
        "signal.signal(signal.SIGINT, signal.SIG_DFL)\n"
        "say('ready')\n"
        "while True: signal.pause()\n"
    )
    script = shlex.join(["exec", sys.executable, "-c", program])
    with AtTerminal.run(at_terminal(place, script), place.home.environ) as terminal:
        terminal.expect("ready\r\n")
        terminal.resize(132, 43)
        terminal.expect("43 132\r\n")
        terminal.type("\x03")
        assert terminal.wait() == 255
        assert "ended by signal INT" in terminal.shown


def test_control_c_goes_to_the_process(place):
    script = 'trap "echo got; exit 5" INT; echo ready; while :; do sleep 0.05; done'
    with AtTerminal.run(at_terminal(place, script), place.home.environ) as terminal:
        terminal.expect("ready\r\n")
        terminal.type("\x03")
        terminal.expect("got\r\n")
        assert terminal.wait() == 5


def test_our_modes_are_the_other_sides(place):
    """Flags and characters of our terminal are asked for on the other side."""
    with AtTerminal.run(
        ["sh", "-c", f"stty intr ^X -ixon; exec {' '.join(at_terminal(place, 'stty', '-a'))}"], place.home.environ
    ) as terminal:
        terminal.expect(r"intr = \^X;.* -ixon ")
        assert terminal.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_terminal_is_put_right_when_we_are_killed(place, number):
    with AtTerminal.run(at_terminal(place, "echo ready; exec sleep 600"), place.home.environ) as terminal:
        before = terminal.modes()
        terminal.expect("ready\r\n")
        assert terminal.modes() != before
        terminal.signal(number)
        assert terminal.wait() == 255
        assert terminal.modes() == before


def test_escapes(place):
    with AtTerminal.run(at_terminal(place, "stty raw -echo; echo ready; exec cat"), place.home.environ) as terminal:
        before = terminal.modes()
        terminal.expect("ready")
        terminal.type("~?")
        terminal.expect("Supported escape sequences:")
        terminal.type("~R")
        terminal.type("a~.b\r~~.\r")
        terminal.expect(r"a~\.b\r~\.\r")
        terminal.type("~.")
        assert terminal.wait() == 255
        assert terminal.modes() == before


def test_a_passphrase(place, tmp_path: Path):
    key = PrivateKey.generate()
    (tmp_path / "key").write_bytes(key.to_openssh("secret", rounds=1))
    (tmp_path / "key").chmod(0o600)
    authorized = place.home.authorized_keys
    authorized.write_text(authorized.read_text() + key.public_key.to_openssh_line() + "\n")
    command = tool("ssh", "-p", str(place.port), "-i", str(tmp_path / "key"), "127.0.0.1", "echo in")
    with AtTerminal.run(command, place.home.environ) as terminal:
        before = terminal.modes()
        terminal.expect(r"Enter passphrase for key '.*/key': ")
        assert terminal.modes() != before
        terminal.type("wrong\n")
        terminal.expect(r"Enter passphrase for key '.*/key': ")
        terminal.type("secret\n")
        terminal.expect("in\r\n")
        assert terminal.wait() == 0
        assert "secret" not in terminal.shown
        assert terminal.modes() == before
    result = place.home.run([*command[:4], "-o", "BatchMode=yes", *command[4:]])
    assert (result.returncode, result.stdout) == (255, b"")


PASSWORD_SERVER = """
import sys, trio, trio_ssh
async def check(username, password):
    return (username, password) == ("ada", "opensesame")
async def hello(session):
    await session.send_all(b"hello " + session.username.encode() + b"\\n")
async def main(key):
    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(lambda task_status: trio_ssh.serve(hello, 0, host="127.0.0.1",
            host_keys=[trio_ssh.PrivateKey.from_file(key)], authenticate=trio_ssh.Passwords(check), task_status=task_status))
        print("listening on 127.0.0.1 port", listener.socket.getsockname()[1], file=sys.stderr, flush=True)
trio.run(main, sys.argv[1])
"""


@pytest.fixture(scope="module")
def password_server(shared) -> Iterator[RunningServer]:
    with running([sys.executable, "-c", PASSWORD_SERVER, str(shared.home.host_key)], shared.home.environ) as server:
        yield server


def password_login(place, server: RunningServer, *options: str) -> list[str]:
    place.home.know(server.port)
    return tool("ssh", "-p", str(server.port), *options, "ada@127.0.0.1", "x")


def test_a_password(place, password_server):
    with AtTerminal.run(password_login(place, password_server), place.home.environ) as terminal:
        terminal.expect(r"ada@127\.0\.0\.1's password: ")
        terminal.type("wrong\n")
        terminal.expect(r"Permission denied, please try again\.\r\n")
        terminal.expect(r"ada@127\.0\.0\.1's password: ")
        terminal.type("opensesame\n")
        terminal.expect("hello ada")
        assert terminal.wait() == 0
        assert "opensesame" not in terminal.shown


def test_a_wrong_password(place, password_server):
    with AtTerminal.run(password_login(place, password_server), place.home.environ) as terminal:
        for _ in range(3):
            terminal.expect("password: ")
            terminal.type("wrong\n")
        terminal.expect(r"trio-ssh: the server did not let 'ada' in: [^\r]*password[^\r]*\r\n")
        assert terminal.wait() == 255


def test_no_password_where_nobody_can_be_asked(place, password_server):
    result = place.home.run(password_login(place, password_server))
    assert (result.returncode, result.stdout) == (255, b"")
    assert result.stderr.count(b"\n") == 1
    result = place.home.run(password_login(place, password_server, "-o", "BatchMode=yes"))
    assert result.stderr.count(b"\n") == 1


def test_no_password_for_a_changed_host_key(place, password_server):
    command = password_login(place, password_server, "-o", "StrictHostKeyChecking=no")
    place.home.know(password_server.port, place.home.user_key)
    with AtTerminal.run(command, place.home.environ) as terminal:
        terminal.expect(r"HAS CHANGED .*no password is sent")
        assert terminal.wait() == 255
        assert "password: " not in terminal.shown


def test_the_time_that_a_person_takes_is_not_counted(place, password_server):
    """ConnectTimeout is for the server only; here it is far longer than the connection takes, and a question is open meanwhile."""
    with AtTerminal.run(password_login(place, password_server, "-o", "ConnectTimeout=20"), place.home.environ) as terminal:
        terminal.expect("password: ")
        terminal.type("opensesame\n")
        terminal.expect("hello ada")
        assert terminal.wait() == 0


def test_interrupting_a_question(place, password_server):
    with AtTerminal.run(password_login(place, password_server), place.home.environ) as terminal:
        before = terminal.modes()
        terminal.expect("password: ")
        terminal.type("\x03")
        assert terminal.wait() == 255
        assert terminal.modes() == before
