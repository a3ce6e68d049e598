"""OpenSSH's client and server as peers: run without the machine's or the user's own configuration."""

from __future__ import annotations

import contextlib
import getpass
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import attrs
import trio

import trio_ssh
from tests.interop.keyring import Keyring
from tests.support import free_port, require_program

START_SECONDS = 10.0
PRIVILEGE_SEPARATION_FOLDER = Path("/run/sshd")
"""Debian's sshd, started by root, will not start without it."""


@attrs.frozen
class SSH:
    """The program `ssh`, pointed at one port."""

    keyring: Keyring
    port: int
    program: str = attrs.field(factory=lambda: require_program("ssh"))

    def command(
        self,
        *words: str,
        flags: Sequence[str] = (),
        options: Mapping[str, object] | None = None,
        key_type: str = "ssh-ed25519",
    ) -> list[str]:
        """The whole command line. `options` are for ``-o`` and stand above those that every run here has."""
        settings: dict[str, object] = {
            "UserKnownHostsFile": self.keyring.known_hosts,
            "GlobalKnownHostsFile": "none",
            "StrictHostKeyChecking": "yes",
            "IdentityFile": self.keyring.user_key_file(key_type),
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "BatchMode": "yes",
            "LogLevel": "ERROR",
            "User": getpass.getuser(),
            **(options or {}),
        }
        given = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
        return [self.program, "-F", "none", "-p", str(self.port), *given, *flags, "127.0.0.1", *words]

    def environ(self) -> dict[str, str]:
        """Nothing of ours: no agent, no locale to send."""
        return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.keyring.folder)}

    async def run(
        self,
        *words: str,
        input: bytes = b"",
        flags: Sequence[str] = (),
        options: Mapping[str, object] | None = None,
        key_type: str = "ssh-ed25519",
        environ: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run it to its end, whatever its exit status."""
        return await trio.run_process(
            self.command(*words, flags=flags, options=options, key_type=key_type),
            stdin=input,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            env={**self.environ(), **(environ or {})},
        )

    async def start(
        self,
        nursery: trio.Nursery,
        *words: str,
        flags: Sequence[str] = (),
        options: Mapping[str, object] | None = None,
        stderr: int = subprocess.DEVNULL,
    ) -> trio.Process:
        """Start it with pipes for stdin and stdout; it is ended with the nursery."""
        command = self.command(*words, flags=flags, options=options)
        run = partial(
            trio.run_process, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, check=False, env=self.environ()
        )
        process: trio.Process = await nursery.start(run)
        return process


@attrs.frozen
class SSHD:
    """A running `sshd`."""

    keyring: Keyring
    port: int
    pid: int
    log: Path

    def connect(
        self,
        *,
        username: str | None = None,
        credentials: Sequence[trio_ssh.Credential] | None = None,
        host_keys: trio_ssh.HostKeyPolicy | None = None,
        algorithms: trio_ssh.Algorithms | None = None,
        limits: trio_ssh.Limits | None = None,
        observer: trio_ssh.Observer | None = None,
    ) -> trio_ssh.Connecting:
        """Our client to it, strict about its host key, with the ed25519 key unless told otherwise."""
        return trio_ssh.connect(
            "127.0.0.1",
            self.port,
            username=username,
            credentials=credentials or [trio_ssh.PrivateKeyCredential(self.keyring.user_keys["ssh-ed25519"])],
            host_keys=host_keys or trio_ssh.KnownHosts([self.keyring.known_hosts]),
            algorithms=algorithms,
            limits=limits,
            observer=observer,
        )


def sshd_config(keyring: Keyring, lists: Mapping[str, Sequence[str]], extra: Sequence[str] = ()) -> str:
    """A configuration for whoever runs the tests; the lines of `extra` count first, as sshd has it."""
    lines = [
        *extra,
        *(f"HostKey {keyring.host_key_file(key_type)}" for key_type in keyring.host_keys),
        *(f"{name} {','.join(values)}" for name, values in lists.items()),
        f"AuthorizedKeysFile {keyring.authorized_keys}",
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password",
        "PermitUserEnvironment no",
        "PrintMotd no",
        "PrintLastLog no",
        "AcceptEnv LANG LC_* INTEROP_*",
        f"SetEnv HOME={keyring.folder}",  # the start files of whoever runs the tests are none of our business
        "Subsystem sftp internal-sftp",
        "PidFile none",
        "MaxStartups 100",
        "LogLevel VERBOSE",
    ]
    return "".join(f"{line}\n" for line in lines)


@contextlib.contextmanager
def running_sshd(
    keyring: Keyring, folder: Path, lists: Mapping[str, Sequence[str]] | None = None, extra: Sequence[str] = ()
) -> Iterator[SSHD]:
    """An `sshd` of our own, listening, until the block is left. What it logs is in the folder."""
    program = require_program("sshd")
    make_privilege_separation_folder()
    port = free_port()
    config, log = folder / "sshd_config", folder / "sshd.log"
    config.write_text(f"ListenAddress 127.0.0.1:{port}\n" + sshd_config(keyring, lists or {}, extra))
    with log.open("wb") as output:
        process = subprocess.Popen([program, "-D", "-e", "-f", str(config)], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        _wait_until_listening(process, log)
        yield SSHD(keyring, port, process.pid, log)
    finally:
        process.terminate()
        process.wait(10)


def make_privilege_separation_folder() -> None:
    if os.geteuid() == 0:
        PRIVILEGE_SEPARATION_FOLDER.mkdir(mode=0o755, exist_ok=True)


def _wait_until_listening(process: subprocess.Popen[bytes], log: Path) -> None:
    """Its log says so; nothing is connected for that, because a connection without a login counts against it."""
    deadline = time.monotonic() + START_SECONDS
    while b"Server listening" not in log.read_bytes():
        assert process.poll() is None, f"sshd ended: {log.read_text()}"
        assert time.monotonic() < deadline, f"sshd does not listen: {log.read_text()}"
        threading.Event().wait(0.005)
