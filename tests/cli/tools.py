"""The tools as processes: a running trio-sshd, trio-ssh against it, and a terminal to run it in."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import attrs

from trio_ssh import PrivateKey

SECONDS = 30.0  # far more than anything here takes


def tool(name: str, *words: str) -> list[str]:
    return [sys.executable, "-m", "trio_ssh", name, *words]


@attrs.frozen
class Home:
    """A user's home with keys, and nothing of the real one."""

    path: Path
    user_key: Path
    host_key: Path
    authorized_keys: Path

    @classmethod
    def make(cls, path: Path) -> Home:
        (path / ".ssh").mkdir(mode=0o700)
        home = cls(path, path / "user_key", path / "host_key", path / "authorized_keys")
        for file in (home.user_key, home.host_key):
            PrivateKey.generate().write_file(file)
        home.authorized_keys.write_text(PrivateKey.from_file(home.user_key).public_key.to_openssh_line() + "\n")
        home.authorized_keys.chmod(0o600)
        return home

    @property
    def known_hosts(self) -> Path:
        return self.path / ".ssh" / "known_hosts"

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, "HOME": str(self.path), "TERM": "xterm"}

    def know(self, port: int, key: Path | None = None) -> None:
        """Enter a host key, the right one unless another is given."""
        line = PrivateKey.from_file(key or self.host_key).public_key.to_openssh_line()
        self.known_hosts.write_text(f"[127.0.0.1]:{port} {line}\n")

    def ssh(self, port: int, *words: str, key: bool = True) -> list[str]:
        identity = ["-i", str(self.user_key)] if key else []
        return tool("ssh", "-p", str(port), *identity, "127.0.0.1", *words)

    def run_ssh(self, port: int, *words: str, data: bytes = b"", key: bool = True) -> subprocess.CompletedProcess[bytes]:
        return self.run(self.ssh(port, *words, key=key), data=data)

    def run(self, command: Sequence[str], *, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        # Without a terminal of its own nothing can be asked of whoever runs the tests.
        return subprocess.run(
            command, input=data, capture_output=True, env=self.environ, timeout=SECONDS, start_new_session=True, check=False
        )


@attrs.define(eq=False)
class RunningServer:
    """A server process that has said where it listens; `log` grows."""

    process: subprocess.Popen[bytes]
    port: int
    log: list[str]
    _grown: threading.Condition = attrs.field(factory=threading.Condition)

    def take_lines(self, stderr: IO[bytes]) -> None:
        """In a thread: until there are no more."""
        for line in stderr:
            with self._grown:
                self.log.append(line.decode("utf-8", "replace"))
                self._grown.notify_all()

    def wait_said(self, text: str) -> None:
        """Until it stands in the log."""
        with self._grown:
            assert self._grown.wait_for(lambda: any(text in line for line in self.log), SECONDS), self.log


@contextmanager
def running(command: Sequence[str], environ: dict[str, str], pattern: str = r"listening on \S+ port (\d+)") -> Iterator[RunningServer]:
    """A server that runs meanwhile; it is told to end at the end, and does."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environ, start_new_session=True
    )
    assert process.stderr is not None
    log: list[str] = []
    with process.stderr as stderr:
        try:
            while (line := stderr.readline().decode()) and not re.search(pattern, line):
                log.append(line)
            found = re.search(pattern, line)
            assert found, f"the server did not start: {log}"
            log.append(line)
            server = RunningServer(process, int(found[1]), log)
            reader = threading.Thread(target=server.take_lines, args=[stderr])
            reader.start()
            try:
                yield server
            finally:
                process.terminate()
                process.wait(SECONDS)
                reader.join(SECONDS)
        finally:
            process.kill()
            process.wait(SECONDS)


def server_command(home: Home, *words: str) -> list[str]:
    options = ["-o", "ListenAddress=127.0.0.1", "-o", f"AuthorizedKeysFile={home.authorized_keys}"]
    options += ["-o", "PerSourcePenalties=no"]  # all tests come from one address, and many are meant to fail
    return tool("sshd", "-D", "-p", "0", "-h", str(home.host_key), *options, *words)


@attrs.define(eq=False)
class AtTerminal:
    """A process whose controlling terminal we are."""

    process: subprocess.Popen[bytes]
    master: int
    slave: int
    shown: str = ""

    @classmethod
    @contextmanager
    def run(cls, command: Sequence[str], environ: dict[str, str], *, columns: int = 100, rows: int = 30) -> Iterator[AtTerminal]:
        master, slave = os.openpty()
        resize(slave, columns, rows)
        # The leader of a new session gets the first terminal that it opens by its path as its controlling one.
        script = 'exec <>"$1" >&0 2>&0 && shift && exec "$@"'
        process = subprocess.Popen(["sh", "-c", script, "sh", os.ttyname(slave), *command], env=environ, start_new_session=True)
        try:
            yield cls(process, master, slave)
        finally:
            process.kill()
            process.wait(SECONDS)
            os.close(master)
            os.close(slave)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def expect(self, pattern: str) -> re.Match[str]:
        """Wait until the pattern is shown; what is shown up to its end is used up."""
        deadline = time.monotonic() + SECONDS
        while not (found := re.search(pattern, self.shown, re.DOTALL)):
            ready, _, _ = select.select([self.master], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"not shown: {pattern!r}; shown: {self.shown!r}"
            self.shown += os.read(self.master, 65536).decode("utf-8", "replace")
        self.shown = self.shown[found.end() :]
        return found

    def resize(self, columns: int, rows: int) -> None:
        resize(self.master, columns, rows)

    def wait(self) -> int:
        """Until it has ended; what it shows meanwhile is kept."""
        ended = os.pidfd_open(self.process.pid)
        try:
            while True:
                ready, _, _ = select.select([self.master, ended], [], [], SECONDS)
                assert ready, f"it does not end; shown: {self.shown!r}"
                if self.master not in ready:
                    return self.process.wait(SECONDS)
                self.shown += os.read(self.master, 65536).decode("utf-8", "replace")
        finally:
            os.close(ended)

    def modes(self) -> list[object]:
        return list(termios.tcgetattr(self.slave))

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


def resize(terminal: int, columns: int, rows: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("@HHHH", rows, columns, 0, 0))
