"""The methods of logging in at a terminal: keyboard-interactive, two in a chain, a password that must be changed, which is tried first."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.cli.tools import AtTerminal, RunningServer, running, tool

SERVER = """
import sys, trio, trio_ssh
from trio_ssh import Prompt

async def converse(attempt):
    [name, code] = await attempt.ask([Prompt("Pet: ", echo=True), Prompt("Code\\x1b[2J: ")], "Two questions", "From the server.\\x07")
    if (name, code) != ("cat", "42"):
        return False
    await attempt.ask([], "", "Well done.")
    return attempt.username != "bob"

async def check(username, password):
    if username == "carol" and password == "old":
        return trio_ssh.Verdict(accepted=False, change_password="It has expired.")
    return password == "opensesame"

async def change(username, old, new):
    return (username, old, new) == ("carol", "old", "new")

async def hello(session):
    await session.send_all(b"hello " + session.username.encode() + b"\\n")

class Rules:
    async def rules_for(self, login):
        passwords, questions = trio_ssh.Passwords(check, change), trio_ssh.KeyboardInteractiveServer(converse)
        chain = trio_ssh.all_of(passwords, questions) if login.username == "dave" else trio_ssh.any_of(questions, passwords)
        return trio_ssh.LoginRules(authenticate=chain)

async def main(key):
    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(lambda task_status: trio_ssh.serve(hello, 0, host="127.0.0.1",
            host_keys=[trio_ssh.PrivateKey.from_file(key)], authenticate=Rules(), task_status=task_status))
        print("listening on 127.0.0.1 port", listener.socket.getsockname()[1], file=sys.stderr, flush=True)
trio.run(main, sys.argv[1])
"""


@pytest.fixture(scope="module")
def server(shared) -> Iterator[RunningServer]:
    with running([sys.executable, "-c", SERVER, str(shared.home.host_key)], shared.home.environ) as server:
        yield server


def login(place, server: RunningServer, user: str, *options: str) -> list[str]:
    place.home.know(server.port)
    return tool("ssh", "-F", "none", "-p", str(server.port), *options, f"{user}@127.0.0.1", "x")


def test_keyboard_interactive(place, server):
    with AtTerminal.run(login(place, server, "ada"), place.home.environ) as terminal:
        terminal.expect("Two questions\r\nFrom the server.")
        terminal.expect(r"\(ada@127\.0\.0\.1\) Pet: ")
        terminal.type("cat\n")
        terminal.expect(r"\(ada@127\.0\.0\.1\) Code\\x1b\[2J: ")
        terminal.type("42\n")
        terminal.expect(r"Well done\.")
        terminal.expect("hello ada")
        assert terminal.wait() == 0
        assert "42" not in terminal.shown
        assert "\x1b" not in terminal.shown


def test_as_often_as_is_asked_for(place, server):
    command = login(place, server, "bob", "-o", "NumberOfPasswordPrompts=2", "-o", "PasswordAuthentication=no")
    with AtTerminal.run(command, place.home.environ) as terminal:
        for _ in range(2):
            terminal.expect("Pet: ")
            terminal.type("cat\n")
            terminal.expect("Code.*: ")
            terminal.type("42\n")
        terminal.expect("the server did not let 'bob' in")
        assert terminal.wait() == 255


def test_the_order_of_the_methods(place, server):
    command = login(place, server, "ada", "-o", "PreferredAuthentications=password,keyboard-interactive")
    with AtTerminal.run(command, place.home.environ) as terminal:
        terminal.expect(r"ada@127\.0\.0\.1's password: ")
        terminal.type("opensesame\n")
        terminal.expect("hello ada")
        assert terminal.wait() == 0
        assert "Pet: " not in terminal.shown


@pytest.mark.parametrize("options", [["KbdInteractiveAuthentication=no"], ["PreferredAuthentications=gssapi-with-mic,password"]])
def test_methods_that_are_switched_off(place, server, options):
    command = login(place, server, "ada", *(word for option in options for word in ("-o", option)))
    with AtTerminal.run(command, place.home.environ) as terminal:
        terminal.expect("password: ")
        terminal.type("opensesame\n")
        terminal.expect("hello ada")
        assert terminal.wait() == 0


def test_two_in_a_chain(place, server):
    with AtTerminal.run(login(place, server, "dave"), place.home.environ) as terminal:
        terminal.expect("password: ")
        terminal.type("opensesame\n")
        terminal.expect("Pet: ")
        terminal.type("cat\n")
        terminal.expect("Code.*: ")
        terminal.type("42\n")
        terminal.expect("hello dave")
        assert terminal.wait() == 0


def test_b21_a_password_that_must_be_changed(place, server):
    command = login(place, server, "carol", "-o", "PreferredAuthentications=password")
    with AtTerminal.run(command, place.home.environ) as terminal:
        terminal.expect("password: ")
        terminal.type("old\n")
        terminal.expect(r"It has expired\.")
        terminal.expect("Enter carol@127.0.0.1's new password: ")
        terminal.type("new\n")
        terminal.expect("Retype carol@127.0.0.1's new password: ")
        terminal.type("new\n")
        terminal.expect("hello carol")
        assert terminal.wait() == 0


def test_variables_and_the_escape_character(place):
    options = ["-o", "SetEnv=LC_ONE=1", "-o", "SendEnv=LC_TWO", "-e", "^X", "-t"]
    command = ["env", "LC_TWO=2", *place.home.ssh(place.port, *options, "echo got $LC_ONE$LC_TWO; cat")]
    with AtTerminal.run(command, place.home.environ) as terminal:
        terminal.expect("got 12")
        terminal.type("\x18?")
        terminal.expect(r"\^X\.   - terminate")
        terminal.type("\r\x18.")
        assert terminal.wait() == 255
