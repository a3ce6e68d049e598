"""OpenSSH: Debian's or whoever's ``ssh`` and ``sshd``, with pipes at both ends.

Its commands are real ones (``wc -c``, ``head -c N /dev/zero``, ``cat``, ``true``), run by the user's shell, but with a HOME that is empty:
what a shell's startup files do is not OpenSSH's cost. In the bulk verbs the time begins when the remote command has said that it runs.
Several commands on one connection go through a ControlMaster, one ``ssh`` process each.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from benchmarks.peers.common import BLOCK_BYTES, HOST, Setup, Verb, blocks, check_count, listening, pause, run_peer

SYSTEM_FOLDERS = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin", "/usr/local/sbin"])
SECONDS_TO_START = 10


def program(name: str) -> str:
    found = shutil.which(name, path=SYSTEM_FOLDERS)
    if found is None:
        raise SystemExit(f"the program {name!r} is not on this machine")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def wait_until(what: str, done: Path | int) -> None:
    """Until a socket is there: a path, or a port that takes connections."""
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline:
        if isinstance(done, Path):
            if done.exists():
                return
        else:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection((HOST, done)):
                return
        time.sleep(0.005)
    raise SystemExit(f"{what} did not start")


def sshd_config(setup: Setup, port: int) -> str:
    rekey = f"RekeyLimit {setup.rekey_bytes}\n" if setup.rekey_bytes is not None else ""
    return (
        rekey
        + f"""\
ListenAddress {HOST}:{port}
HostKey {setup.host_key}
AuthorizedKeysFile {setup.user_key}.pub
Ciphers {setup.cipher}
KexAlgorithms {setup.kex}
PidFile none
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PermitUserRC no
SetEnv HOME={setup.folder}
PrintMotd no
PrintLastLog no
UseDNS no
MaxStartups 1000
MaxSessions 100
LogLevel ERROR
"""
    )


def serve(setup: Setup) -> None:
    port = free_port()
    config = setup.folder / f"sshd_config.{port}"
    config.write_text(sshd_config(setup, port))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd's privilege separation wants it
    # sshd's own log is not for the table's reader: clients that hang up without a word are part of some rows.
    with subprocess.Popen([program("sshd"), "-D", "-f", config], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as sshd:
        wait_until("sshd", port)
        listening(port, sshd.terminate)


def ssh_command(setup: Setup, *options: str) -> list[str]:
    """``ssh`` without anybody's configuration; a command may follow."""
    values = {
        "BatchMode": "yes",
        "Ciphers": setup.cipher,
        "GlobalKnownHostsFile": "/dev/null",
        "HostKeyAlgorithms": "ssh-ed25519",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "KexAlgorithms": setup.kex,
        "LogLevel": "ERROR",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": str(known_hosts(setup)),
    }
    if setup.rekey_bytes is not None:
        values["RekeyLimit"] = str(setup.rekey_bytes)
    settings = [word for name, value in values.items() for word in ("-o", f"{name}={value}")]
    identity = ["-i", str(setup.user_key), "-p", str(setup.port), "-l", pwd.getpwuid(os.getuid()).pw_name]
    return [program("ssh"), "-F", "none", "-T", *settings, *identity, *options, HOST]


def known_hosts(setup: Setup) -> Path:
    path = setup.folder / f"known_hosts.{setup.port}"
    if not path.exists():
        path.write_text(f"[{HOST}]:{setup.port} " + Path(f"{setup.host_key}.pub").read_text())
    return path


@contextlib.contextmanager
def running(command: Sequence[str]) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Its unbuffered stdin and stdout."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdin, process.stdout


class Driver:
    """The client's verbs."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup

    def bulk_up(self, size: int) -> float:
        with running([*ssh_command(self.setup), "printf r; exec wc -c"]) as (stdin, stdout):
            stdout.read(1)
            started = time.perf_counter()
            for block in blocks(size):
                sent = 0
                while sent < len(block):
                    sent += stdin.write(block[sent:])
            stdin.close()
            counted = int(stdout.read())
            seconds = time.perf_counter() - started
        check_count(size, counted)
        return seconds

    def bulk_down(self, size: int) -> float:
        counted = 0
        with running([*ssh_command(self.setup), f"printf r; read go; exec head -c {size} /dev/zero"]) as (stdin, stdout):
            stdout.read(1)
            started = time.perf_counter()
            stdin.write(b"\n")
            while chunk := stdout.read(BLOCK_BYTES):
                counted += len(chunk)
            seconds = time.perf_counter() - started
        check_count(size, counted)
        return seconds

    def login(self, times: int) -> float:
        started = time.perf_counter()
        for _ in range(times):
            subprocess.run([*ssh_command(self.setup), "true"], stdin=subprocess.DEVNULL, check=True)
        return time.perf_counter() - started

    def echo(self, times: int) -> float:
        with running([*ssh_command(self.setup), "exec cat"]) as (stdin, stdout):
            stdin.write(b"x")
            stdout.read(1)
            started = time.perf_counter()
            for _ in range(times):
                stdin.write(b"x")
                stdout.read(1)
            return time.perf_counter() - started

    @contextlib.contextmanager
    def master(self, name: str) -> Iterator[list[str]]:
        """An idle connection; the options to use it by."""
        path = self.setup.folder / name
        options = ["-S", str(path)]
        with subprocess.Popen(ssh_command(self.setup, "-M", "-N", *options), stdin=subprocess.DEVNULL) as master:
            try:
                wait_until("the ControlMaster", path)
                yield options
            finally:
                master.kill()  # a mere SIGTERM can come right before its poll(), and is then seen only with the next packet
                path.unlink(missing_ok=True)

    def execute(self, times: int, at_once: int) -> float:
        with self.master("m") as options, ThreadPoolExecutor(at_once) as pool:
            command = [*ssh_command(self.setup, *options), "true"]

            def some(_: int) -> None:
                for _ in range(times // at_once):
                    subprocess.run(command, stdin=subprocess.DEVNULL, check=True)

            started = time.perf_counter()
            list(pool.map(some, range(at_once)))
            return time.perf_counter() - started

    def hold(self, first: int, more: int) -> None:
        with contextlib.ExitStack() as stack:
            for number in range(first + more):
                if number == first:
                    pause()
                stack.enter_context(self.master(f"m{number}"))
            pause()


def verbs(setup: Setup) -> Mapping[str, Verb]:
    driver = Driver(setup)
    return {name: getattr(driver, name) for name in ("bulk_up", "bulk_down", "login", "echo", "execute", "hold")}


if __name__ == "__main__":
    run_peer(serve, verbs)
