"""One authority instead of lists of keys: it certifies a server's key and a user's, and each side knows the authority only.

python examples/certificates.py
"""

from __future__ import annotations

import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import trio

import trio_ssh

HOUR = 3600
HOST = "build.example"


def certified(authority: trio_ssh.PrivateKey, kind: trio_ssh.CertificateKind, *principals: str) -> trio_ssh.CertifiedKey:
    """A new key with a certificate that is good for an hour. Users may have a terminal, and nothing else: no forwarding, say."""
    key = trio_ssh.PrivateKey.generate()
    now = int(time.time())
    request = trio_ssh.CertificateRequest(
        public_key=key.public_key,
        kind=kind,
        key_id=f"example for {principals[0]}",
        principals=principals,
        valid_after=now - 60,  # clocks differ
        valid_before=now + HOUR,
        extensions={"permit-pty": b""} if kind is trio_ssh.CertificateKind.USER else {},
    )
    return trio_ssh.CertifiedKey(key, trio_ssh.sign_certificate(authority, request))


async def greet(session: trio_ssh.ServerSession) -> None:
    forwarding = "with" if session.permissions.port_forwarding else "without"
    await session.send_all(f"hello {session.username}, {forwarding} port forwarding".encode())


async def log_in(port: int, username: str, key: trio_ssh.CertifiedKey, known_hosts: Path) -> str:
    stream = await trio.open_tcp_stream("127.0.0.1", port)  # there is no build.example, so we bring the connection ourselves
    async with trio_ssh.connect(
        HOST,
        stream=stream,
        username=username,
        credentials=[trio_ssh.CertificateCredential.of(key)],
        host_keys=trio_ssh.KnownHosts(known_hosts),
    ) as client:
        assert client.host_certificate is not None
        print(f"{HOST} has a certificate: {client.host_certificate.key_id}")
        return (await client.run_process("greet")).stdout.decode()


async def serve_and_log_in(folder: Path) -> None:
    authority = trio_ssh.PrivateKey.generate(comment="our authority")  # in real life on a machine of its own
    host_key = certified(authority, trio_ssh.CertificateKind.HOST, HOST)
    adas_key = certified(authority, trio_ssh.CertificateKind.USER, "ada")
    known_hosts = folder / "known_hosts"
    known_hosts.write_text(f"@cert-authority *.example {authority.public_key.to_openssh_line()}\n")

    policy = trio_ssh.TrustedUserCA(authority.public_key)
    serve = partial(trio_ssh.serve, greet, 0, host="127.0.0.1", host_keys=[host_key], authenticate=policy)
    async with trio.open_nursery() as nursery:
        listeners: list[trio.SocketListener] = await nursery.start(serve)
        port = listeners[0].socket.getsockname()[1]
        print(await log_in(port, "ada", adas_key, known_hosts))
        try:
            await log_in(port, "ben", adas_key, known_hosts)
        except trio_ssh.AuthenticationFailed:
            print("as ben she is not let in: her certificate is for ada")
        nursery.cancel_scope.cancel()


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        trio.run(serve_and_log_in, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
