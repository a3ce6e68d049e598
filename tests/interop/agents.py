"""Debian's `ssh-agent` and `ssh-add`, and our agent in software behind a socket that they can find."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import attrs
import trio

from tests.agent.double import SoftwareAgent
from tests.support import require_program

START_SECONDS = 10.0


@attrs.frozen
class Place:
    """Where an agent listens, and who would be asked by it: a script that says what is in `answer`."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Place:
        place = cls(folder)
        place.ask.write_text(f'#!/bin/sh\nprintf "%s\\0" "$1" >> {folder}/asked\ncat {place.answer}\n')
        place.ask.chmod(0o700)
        place.say("yes")
        return place

    @property
    def path(self) -> str:
        return str(self.folder / "agent.sock")

    @property
    def ask(self) -> Path:
        return self.folder / "askpass"

    @property
    def answer(self) -> Path:
        return self.folder / "answer"

    def say(self, text: str) -> None:
        """What is answered from now on, to questions and as passphrase."""
        self.answer.write_text(f"{text}\n")

    def asked(self) -> list[str]:
        path = self.folder / "asked"
        return path.read_text().split("\0")[:-1] if path.exists() else []

    def environ(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),
            "SSH_AUTH_SOCK": self.path,
            "SSH_ASKPASS": str(self.ask),
            "SSH_ASKPASS_REQUIRE": "force",
            "DISPLAY": ":0",
        }

    async def ssh_add(
        self, *words: str, check: bool = True, environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run ``ssh-add`` with this agent."""
        return await trio.run_process(
            [require_program("ssh-add"), *words],
            stdin=b"",
            capture_stdout=True,
            capture_stderr=True,
            check=check,
            env={**self.environ(), **(environ or {})},
        )

    async def listed(self) -> list[str]:
        """The public key lines of ``ssh-add -L``, without their comments."""
        done = await self.ssh_add("-L", check=False)
        lines = done.stdout.decode().splitlines() if done.returncode == 0 else []
        return [" ".join(line.split(" ")[:2]) for line in lines]


@contextlib.contextmanager
def running_agent(folder: Path) -> Iterator[Place]:
    """`ssh-agent` in the foreground, until the block is left."""
    place = Place.make(folder)
    with (folder / "agent.log").open("wb") as log:
        command = [require_program("ssh-agent"), "-D", "-a", place.path]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=place.environ())
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _takes_connections(place.path):
            assert process.poll() is None, (folder / "agent.log").read_text()
            assert time.monotonic() < deadline, "ssh-agent does not listen"
            threading.Event().wait(0.005)
        yield place
    finally:
        process.terminate()
        process.wait(10)


def _takes_connections(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


@asynccontextmanager
async def listening(agent: SoftwareAgent, folder: Path) -> AsyncIterator[Place]:
    """Ours, at a socket in the file system."""
    place = Place.make(folder)
    listener = trio.socket.socket(trio.socket.AF_UNIX)
    await listener.bind(place.path)
    listener.listen()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(trio.serve_listeners, agent.serve, [trio.SocketListener(listener)]))
        yield place
        nursery.cancel_scope.cancel()
