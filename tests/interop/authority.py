"""A certificate authority for hosts, lines of known_hosts, and our server with any host keys."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import attrs
import trio

import trio_ssh
from tests.interop.keyring import Keyring
from tests.interop.services import services
from tests.support import require_program
from trio_ssh import CertifiedKey, PrivateKey

HOST = "127.0.0.1"

CERTIFIED = [
    "ssh-ed25519-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com",
    "rsa-sha2-256-cert-v01@openssh.com",
]


def line(port: int, key: PrivateKey, hosts: str = "", marker: str = "") -> str:
    return f"{marker}{hosts or f'[{HOST}]:{port}'} {key.public_key.to_openssh_line()}\n"


@attrs.frozen
class Authority:
    """A certificate authority for hosts, and the certificates that ssh-keygen has made with it."""

    folder: Path
    key: PrivateKey

    @classmethod
    def make(cls, folder: Path) -> Authority:
        key = PrivateKey.generate()
        key.write_file(folder / "authority")
        return cls(folder, key)

    def certify(self, key: PrivateKey, name: str, *, principals: str = HOST, validity: str = "always:forever", host: bool = True) -> Path:
        """Put key and certificate into files; the key's path comes back."""
        path = self.folder / name
        key.write_file(path)
        path.with_suffix(".pub").write_text(key.public_key.to_openssh_line() + "\n")
        words = ["-q", "-s", self.folder / "authority", "-I", name, *(["-h"] if host else []), "-n", principals, "-V", validity]
        subprocess.run([require_program("ssh-keygen"), *map(str, words), str(path.with_suffix(".pub"))], check=True, timeout=30)
        return path

    def line(self, hosts: str = HOST) -> str:
        return line(0, self.key, hosts, "@cert-authority ")


def certified(authority: Authority, name: str, kind: tuple[str, int | None] = ("ed25519", None), **options) -> CertifiedKey:
    path = authority.certify(PrivateKey.generate(*kind), name, **options)
    return CertifiedKey.from_files(path)


async def serve(nursery: trio.Nursery, keyring: Keyring, host_keys: Sequence[PrivateKey | CertifiedKey]) -> int:
    """Our server with those keys; its port."""

    async def run(*, task_status: trio.TaskStatus[list[trio.SocketListener]]) -> None:
        await trio_ssh.serve(
            services,
            0,
            host=HOST,
            host_keys=host_keys,
            authenticate=trio_ssh.AuthorizedKeys.from_file(keyring.authorized_keys),
            task_status=task_status,
        )

    listeners = await nursery.start(run)
    return listeners[0].socket.getsockname()[1]
