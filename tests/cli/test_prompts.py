"""Questions to whoever started a tool: which way they go, the askpass program, and lines of stdin."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.tools import SECONDS, AtTerminal
from trio_ssh.cli.prompts import NoAnswer, Person, Way, ask_new_passphrase, run_askpass, way_to_ask
from trio_ssh.cli.terminal import ANSWER_BYTES_MAX

QUESTION = """Enter "it"; $(touch hacked) `touch hacked` && touch hacked #"""


@pytest.mark.parametrize("display", [{}, {"DISPLAY": ":0"}, {"WAYLAND_DISPLAY": "wayland-0"}, {"DISPLAY": ""}])
@pytest.mark.parametrize("require", [None, "never", "prefer", "force", "FORCE", "nonsense"])
@pytest.mark.parametrize("has_terminal", [True, False])
def test_the_way_to_ask(display: dict[str, str], require: str | None, has_terminal: bool):
    environ = display if require is None else {**display, "SSH_ASKPASS_REQUIRE": require}
    shown = any(display.values())
    otherwise = Way.TERMINAL if has_terminal else Way.ASKPASS if shown else Way.NOBODY
    expected = {
        "never": Way.TERMINAL if has_terminal else Way.NOBODY,
        "prefer": Way.ASKPASS if shown else otherwise,
        "force": Way.ASKPASS,
        "FORCE": Way.ASKPASS,
    }
    assert way_to_ask(environ, has_terminal=has_terminal) is expected.get(require or "", otherwise)


def make_askpass(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return path


@pytest.fixture
def askpass_environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the askpass program is; its name has a blank and what a shell would act upon."""
    path = tmp_path / "ask pass; touch hacked"
    monkeypatch.setenv("SSH_ASKPASS", str(path))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    monkeypatch.chdir(tmp_path)
    return path


async def test_e11_the_askpass_program_is_run_without_a_shell(askpass_environ: Path, tmp_path: Path):
    make_askpass(askpass_environ, 'printf %s "$1" > question; echo $# > count; cat > input; echo the answer; echo more')
    assert await Person().ask(QUESTION, echo=False) == "the answer"
    assert (tmp_path / "question").read_text() == QUESTION
    assert (tmp_path / "count").read_text() == "1\n"
    assert (tmp_path / "input").read_text() == ""
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize(
    ("script", "answer"),
    [
        ("echo typed; exit 1", None),  # dismissed
        ("kill -9 $$", None),
        ("true", ""),
        ("printf 'no end'", "no end"),
        (r"printf 'dos\r\n'", "dos"),
        (r"printf '\303\244\377\n'", "ä\N{REPLACEMENT CHARACTER}"),
        ("yes | head -c 100000 | tr -d '\\n'", "y" * ANSWER_BYTES_MAX),
    ],
)
async def test_what_the_askpass_program_says(askpass_environ: Path, script: str, answer: str | None):
    make_askpass(askpass_environ, script)
    assert await run_askpass("?") == answer


async def test_an_askpass_program_that_cannot_be_run(askpass_environ: Path, caplog: pytest.LogCaptureFixture):
    assert await run_askpass("?") is None
    assert "cannot run" in caplog.text
    assert "No such file" in caplog.text
    assert "SSH_ASKPASS_REQUIRE=never" in caplog.text
    assert await run_askpass("a NUL \0") is None


async def test_nobody_is_there(monkeypatch: pytest.MonkeyPatch):
    """Only what the environment says counts here, whether or not the tests are run at a terminal."""
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    monkeypatch.setenv("SSH_ASKPASS", "/dev/null/nothing")
    assert await Person().ask("?", echo=True) is None


# --- new passphrases --------------------------------------------------------------------------------------------------------------------


def test_a_new_passphrase_is_given_twice(capfd: pytest.CaptureFixture[str]):
    answers = iter(["one", "two", "three", "three"])
    questions: list[str] = []

    def ask(question: str) -> str:
        questions.append(question)
        return next(answers)

    assert ask_new_passphrase("First: ", ask=ask) == "three"
    assert questions == ["First: ", "Enter same passphrase again: "] * 2
    assert capfd.readouterr().out == "Passphrases do not match.  Try again.\n"


def test_new_passphrases_that_always_differ():
    answers = iter(range(1000))
    with pytest.raises(NoAnswer, match="differed 3 times; nothing was written"):
        ask_new_passphrase("First: ", ask=lambda question: str(next(answers)))
    assert next(answers) == 6


# --- processes --------------------------------------------------------------------------------------------------------------------------

ASK = """
import sys, trio
from trio_ssh.cli.prompts import Person
print(repr(trio.run(lambda: Person().ask("Say it: ", echo=sys.argv[1] == "echo"))), flush=True)
"""
LINES = """
import sys, subprocess
from trio_ssh.cli.prompts import ask_plainly, ask_secret
print(repr([ask_plainly("A? "), ask_secret("B? "), ask_plainly("C? ")]), flush=True)
print(subprocess.run(["cat"], capture_output=True).stdout)
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    script = make_askpass(tmp_path / "askpass", "echo by the program")
    return {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "SSH_ASKPASS": str(script)}


@pytest.mark.parametrize("echo", ["echo", "no"])
def test_at_a_terminal(environ: dict[str, str], echo: str):
    with AtTerminal.run([sys.executable, "-c", ASK, echo], {**environ, "DISPLAY": ":0"}) as terminal:
        before = terminal.modes()
        terminal.expect("Say it: ")
        terminal.type("by hand\n")
        shown = terminal.expect("'by hand'")
        assert ("by hand\r\n'" in shown.string) == (echo == "echo")
        assert terminal.wait() == 0
        assert terminal.modes() == before


@pytest.mark.parametrize("require", ["prefer", "force"])
def test_a_program_although_there_is_a_terminal(environ: dict[str, str], require: str):
    more = {"DISPLAY": ":0", "SSH_ASKPASS_REQUIRE": require}
    with AtTerminal.run([sys.executable, "-c", ASK, "no"], {**environ, **more}) as terminal:
        terminal.expect("'by the program'")
        assert terminal.wait() == 0


def run(script: str, environ: dict[str, str], stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", script, "no"]
    return subprocess.run(command, input=stdin, env=environ, capture_output=True, timeout=SECONDS, start_new_session=True, check=True)


def test_without_a_terminal(environ: dict[str, str]):
    assert run(ASK, {**environ, "DISPLAY": ":0"}).stdout == b"'by the program'\n"
    assert run(ASK, {**environ, "DISPLAY": ":0", "SSH_ASKPASS_REQUIRE": "never"}).stdout == b"None\n"
    assert run(ASK, environ, b"not for us\n").stdout == b"None\n"


def test_lines_of_stdin(environ: dict[str, str]):
    """Where nobody can be asked, secrets come from stdin, too; and no byte is taken that belongs to the next reader."""
    result = run(LINES, environ, b"first\r\nsecond\nthird\nthe rest\n")
    assert result.stdout == b"A? C? ['first', 'second', 'third']\nb'the rest\\n'\n"
    assert result.stderr == b"B? "
    assert run(LINES, environ, b"first\n").stdout == b"A? C? ['first', '', None]\nb''\n"
    assert run(LINES, environ, b"").stdout == b"A? C? [None, '', None]\nb''\n"
