"""Peer programs as processes: a server and a driver make a `Pair`."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import attrs
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from . import procfs
from .peers.common import Setup

ROOT = Path(__file__).resolve().parent.parent
SECONDS_TO_END = 5
SECONDS_TO_ANSWER = 120


class PeerProcess:
    """One peer program; it ends when its stdin is closed."""

    def __init__(self, peer: str, part: str, setup: Setup) -> None:
        self.name = f"{peer} ({part})"
        command = [sys.executable, "-m", f"benchmarks.peers.{peer}_peer", part, setup.to_json()]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True)

    @property
    def _pipes(self) -> tuple[IO[str], IO[str]]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        return self.process.stdin, self.process.stdout

    def tell(self, line: str) -> None:
        stdin, _ = self._pipes
        stdin.write(line + "\n")
        stdin.flush()

    def answer(self) -> dict[str, Any]:
        """The next line it says. A peer that ends or hangs instead is an error of the benchmark."""
        stdout = self._pipes[1]
        if not select.select([stdout], [], [], SECONDS_TO_ANSWER)[0]:
            raise SystemExit(f"{self.name} has not answered for {SECONDS_TO_ANSWER} s")
        line = stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended unexpectedly, status {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        for pipe in self._pipes:
            pipe.close()
        try:
            self.process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Pair:
    """Server and driver of one implementation, alive at once and idle unless asked: ``with Pair("asyncssh", setup) as pair``."""

    def __init__(self, peer: str, setup: Setup) -> None:
        self.server = PeerProcess(peer, "serve", setup)
        self.driver = PeerProcess(peer, "drive", attrs.evolve(setup, port=self.server.answer()["port"]))

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None) -> None:
        self.driver.end()
        self.server.end()

    @contextmanager
    def holding(self, first: int, more: int) -> Iterator[Callable[[], None]]:
        """`first` idle connections are there; call what comes back to have `more`."""
        self.driver.tell(json.dumps({"verb": "hold", "first": first, "more": more}))
        self.driver.answer()

        def next_step() -> None:
            self.driver.tell("")
            self.driver.answer()

        yield next_step
        next_step()

    def cpu_seconds(self) -> float:
        """Processor time of both ends up to now."""
        return sum(procfs.cpu_seconds(end.process.pid) for end in (self.server, self.driver))

    def seconds(self, verb: str, **order: int) -> float:
        """Have the driver do it; how long it took, by its own clock."""
        self.driver.tell(json.dumps({"verb": verb, **order}))
        return float(self.driver.answer()["seconds"])


def write_keys(folder: Path) -> None:
    """An Ed25519 host key and user key, as files that every implementation reads."""
    for name in ("host_key", "user_key"):
        key = Ed25519PrivateKey.generate()
        private = folder / name
        private.touch(mode=0o600)
        private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        (folder / f"{name}.pub").write_bytes(key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b"\n")
