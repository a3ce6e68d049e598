"""The README's programs, run as they stand against each other: only the port is another, and HOME is empty."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
from trio.lowlevel import checkpoint

from tests.support import free_port, require_program

README = Path(__file__).parent.parent / "README.md"
PORT = "2222"
RUN = "\n\ntrio.run(main)\n"


def blocks(text: str) -> dict[str, list[str]]:
    """Fenced blocks that stand right below a comment such as ``<!-- client -->``, by that word."""
    found: dict[str, list[str]] = {}
    for name, body in re.findall(r"^<!-- (\w+) -->\n```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        found.setdefault(name, []).append(body)
    return found


def program(source: str, port: int) -> Callable[[], Awaitable[None]]:
    """The ``main`` of a program that ends with ``trio.run(main)``; our own loop takes that line's place."""
    assert source.endswith(RUN)
    names: dict[str, Callable[[], Awaitable[None]]] = {}
    exec(compile(source.removesuffix(RUN).replace(PORT, str(port)), str(README), "exec"), names)
    return names["main"]


async def wait_until_it_listens(port: int) -> None:
    """The server's program does not say when it is ready: knock until the door opens."""
    while True:
        try:
            stream = await trio.open_tcp_stream("127.0.0.1", port)
        except OSError:
            await checkpoint()
        else:
            await stream.aclose()
            return


def test_every_program_has_a_name() -> None:
    text = README.read_text()
    found = blocks(text)
    assert set(found) == {"keys", "server", "client", "process", "prints", "tools"}
    assert text.count("```python\n") == sum(len(found[name]) for name in ("server", "client", "process"))
    assert len(found["prints"]) == 2


@pytest.fixture
def newcomer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and the terminal standing in it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def test_the_programs_run_and_print_what_the_readme_says(newcomer: Path, capsys: pytest.CaptureFixture[str]) -> None:
    require_program("ssh-keygen")
    found = blocks(README.read_text())
    port = free_port()
    own_name = await trio.Path("/etc/hostname").read_text()
    await trio.run_process(["bash", "-euc", found["keys"][0].replace(PORT, str(port))], env=dict(os.environ), stderr=subprocess.STDOUT)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(program(found["server"][0], port))
            await wait_until_it_listens(port)
            for name, expected in zip(("client", "process"), found["prints"], strict=True):
                await program(found[name][0], port)()
                assert capsys.readouterr().out == expected
            script = ["bash", "-euxo", "pipefail", "-c", found["tools"][0].replace(PORT, str(port))]
            done = await trio.run_process(script, env=with_tools(newcomer), capture_stdout=True, capture_stderr=True, check=False)
            assert done.returncode == 0, done.stderr.decode()
            nursery.cancel_scope.cancel()
    printed = done.stdout.decode()
    assert f"\nhello ada\n{own_name.upper()}" in printed
    assert "\nstricthostkeychecking ask\n" in printed
    assert printed.count("ssh-ed25519 AAAA") == 2
    assert 'Key ID: "ada, this week"' in printed


def with_tools(folder: Path) -> dict[str, str]:
    """The environment, with our tools on the path as an installation puts them there."""
    (folder / "bin").mkdir()
    for name in ("trio-ssh", "trio-sshd", "trio-ssh-keygen", "trio-ssh-keyscan"):
        path = folder / "bin" / name
        path.write_text(f'#!/bin/sh\nexec {sys.executable} -m trio_ssh {name} "$@"\n')
        path.chmod(0o755)
    return {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(README.parent)}
