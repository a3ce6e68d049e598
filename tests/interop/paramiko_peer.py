"""Paramiko as a peer: blocking code, for worker threads.

A rekey that Paramiko begins by itself goes well as long as neither side opens, requests or closes anything before its end: its answer
would either leave too early or wait for the thread that it runs in. So its limit counts only in the midst of a command, and `calm` waits.
"""

from __future__ import annotations

import contextlib
import hashlib
import queue
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import attrs
import paramiko
import trio

import trio_ssh
from tests.interop.keyring import Keyring
from tests.interop.matrix import Shared, Suite
from tests.interop.services import PASSWORD, pattern

ANSWER_SECONDS = 60


def shared_with_paramiko() -> Shared:
    """What the installed version has of what we have."""
    with socket.socket() as unused:
        options = paramiko.Transport(unused).get_security_options()
    return Shared.of(options.kex, options.key_types, options.ciphers, options.digests, ("none", "zlib@openssh.com", "zlib"))


PARAMIKO = shared_with_paramiko()


def _restrict(transport: paramiko.Transport, suite: Suite | None) -> None:
    if suite is not None:
        options = transport.get_security_options()
        options.kex, options.key_types = (suite.kex,), (suite.host_key,)
        options.ciphers, options.digests, options.compression = (suite.cipher,), (suite.mac,), (suite.compression,)


def calm(transport: paramiko.Transport) -> None:
    """Begin no rekey any more, and wait for the end of one that is wanted or runs."""
    transport.packetizer.REKEY_BYTES = paramiko.packet.Packetizer.REKEY_BYTES
    deadline = time.monotonic() + ANSWER_SECONDS
    while transport.packetizer.need_rekey() or not transport.clear_to_send.is_set():
        assert transport.is_active(), "the connection is gone"
        assert time.monotonic() < deadline, "the rekey does not end"
        threading.Event().wait(0.002)


def _end(transport: paramiko.Transport) -> None:
    transport.close()
    if transport.ident is not None:  # its thread was started
        transport.join(ANSWER_SECONDS)


# --- its client --------------------------------------------------------------------------------------------------------------------------


@attrs.frozen
class Done:
    """How a command ended: a status of -1 is paramiko's way to say that there was none."""

    status: int
    stdout: bytes
    stderr: bytes


def run_command(
    transport: paramiko.Transport,
    command: str,
    input: bytes = b"",
    *,
    environ: dict[str, str] | None = None,
    output_bytes: int = 0,
    rekey_bytes: int | None = None,
) -> Done:
    """The input must fit into the windows: it is sent before any output is read.

    `rekey_bytes` is Paramiko's limit while the input is sent and the first `output_bytes` of output come, which is before the input's end.
    """
    with contextlib.closing(transport.open_session(timeout=ANSWER_SECONDS)) as channel:
        channel.settimeout(ANSWER_SECONDS)
        for name, value in (environ or {}).items():
            channel.set_environment_variable(name, value)
        channel.exec_command(command)
        if rekey_bytes is not None:
            transport.packetizer.REKEY_BYTES = rekey_bytes
        channel.sendall(input)
        output = b""
        while len(output) < output_bytes:
            output += channel.recv(1 << 20)
        calm(transport)
        channel.shutdown_write()
        output += b"".join(iter(partial(channel.recv, 1 << 20), b""))
        errors = b"".join(iter(partial(channel.recv_stderr, 1 << 20), b""))
        return Done(channel.recv_exit_status(), output, errors)


@contextlib.contextmanager
def paramiko_client(
    keyring: Keyring,
    port: int,
    *,
    suite: Suite | None = None,
    key_type: str = "ssh-ed25519",
    password: str | None = None,
    disabled_algorithms: dict[str, list[str]] | None = None,
) -> Iterator[paramiko.Transport]:
    """A connection that is logged in, its host key checked."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        transport = paramiko.Transport(sock, disabled_algorithms=disabled_algorithms)
        try:
            _restrict(transport, suite)
            transport.start_client(timeout=ANSWER_SECONDS)
            assert transport.get_remote_server_key().asbytes() in [key.public_key.blob for key in keyring.host_keys.values()]
            if password is not None:
                transport.auth_password("ada", password)
            else:
                transport.auth_publickey("ada", paramiko.PKey.from_path(keyring.user_key_file(key_type)))
            yield transport
        finally:
            _end(transport)


# --- its server --------------------------------------------------------------------------------------------------------------------------


@attrs.define(eq=False)
class Requests(paramiko.ServerInterface):
    """Lets in whom our server lets in, and hands each command over. Everything here is called by the transport's thread."""

    keyring: Keyring
    rekey_bytes: int | None = None
    """Paramiko's limit while a command has input."""
    commands: queue.SimpleQueue[tuple[paramiko.Channel, list[str]] | None] = attrs.field(factory=queue.SimpleQueue)
    told: list[str] = attrs.field(factory=list)

    def get_allowed_auths(self, username: str) -> str:
        return "publickey,password"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        known = [user_key.public_key.blob for user_key in self.keyring.user_keys.values()]
        return paramiko.AUTH_SUCCESSFUL if key.asbytes() in known else paramiko.AUTH_FAILED

    def check_auth_password(self, username: str, password: str) -> int:
        return paramiko.AUTH_SUCCESSFUL if password == PASSWORD else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED if kind == "session" else paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_env_request(self, channel: paramiko.Channel, name: bytes, value: bytes) -> bool:
        self.told.append(f"{name.decode()}={value.decode()}")
        return True

    def check_channel_pty_request(
        self, channel: paramiko.Channel, term: bytes, width: int, height: int, pixelwidth: int, pixelheight: int, modes: bytes
    ) -> bool:
        self.told.append(f"{term.decode()} {width} {height}")
        return True

    def check_channel_window_change_request(
        self, channel: paramiko.Channel, width: int, height: int, pixelwidth: int, pixelheight: int
    ) -> bool:
        self.told.append(f"now {width} {height}")
        return True

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.commands.put((channel, command.decode().split()))
        return True

    def serve_channel(self, channel: paramiko.Channel, words: list[str]) -> None:
        """As `services.services` on our side, but nothing is answered before the input has ended: until then the client may not know
        that its command was accepted."""
        with contextlib.closing(channel):
            channel.settimeout(ANSWER_SECONDS)
            transport = channel.get_transport()
            if self.rekey_bytes is not None:
                transport.packetizer.REKEY_BYTES = self.rekey_bytes
            status = 0
            state = hashlib.sha256()
            while data := channel.recv(1 << 18):
                state.update(data)
                if words[0] == "echo":
                    channel.sendall(data)
            calm(transport)
            if words[0] == "sha256":
                channel.sendall(state.hexdigest().encode())
            elif words[0] == "source":
                channel.sendall(pattern(int(words[1])))
            elif words[0] == "told":
                channel.sendall("".join(f"{line}\n" for line in self.told).encode())
            elif words[0] == "exit":
                channel.sendall(b"to stdout\n")
                channel.sendall_stderr(b"to stderr\n")
                status = int(words[1])
            channel.send_exit_status(status)
            channel.shutdown_write()


@attrs.frozen
class ParamikoServer:
    """One connection's server in a thread, which ends when the client is gone."""

    keyring: Keyring
    nursery: trio.Nursery

    def connect(self, *, suite: Suite | None = None, rekey_bytes: int | None = None, **settings: Any) -> trio_ssh.Connecting:
        """Our client to it. `settings` are `trio_ssh.connect`'s."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.nursery.start_soon(trio.to_thread.run_sync, partial(self._serve_one, listener, suite, rekey_bytes))
        settings.setdefault("credentials", [trio_ssh.PrivateKeyCredential(self.keyring.user_keys["ssh-ed25519"])])
        return trio_ssh.connect(
            "127.0.0.1",
            listener.getsockname()[1],
            username="ada",
            host_keys=trio_ssh.KnownHosts([self.keyring.known_hosts]),
            **settings,
        )

    def _serve_one(self, listener: socket.socket, suite: Suite | None, rekey_bytes: int | None) -> None:
        with listener:
            listener.settimeout(ANSWER_SECONDS)
            sock, _ = listener.accept()
        with sock:
            assert paramiko.Transport.load_server_moduli(), "there is no moduli file: it comes with OpenSSH"
            transport = paramiko.Transport(sock)
            try:
                _restrict(transport, suite)
                for key_type in self.keyring.host_keys:
                    transport.add_server_key(paramiko.PKey.from_path(self.keyring.host_key_file(key_type)))
                requests = Requests(self.keyring, rekey_bytes)
                transport.start_server(server=requests)
                workers = threading.Thread(target=_serve_commands, args=[requests], name="paramiko commands")
                workers.start()
                transport.join(ANSWER_SECONDS)
                requests.commands.put(None)
                workers.join(ANSWER_SECONDS)
            finally:
                _end(transport)


def _serve_commands(requests: Requests) -> None:
    """Each in a thread of its own, until there are no more."""
    threads: list[threading.Thread] = []
    while (request := requests.commands.get()) is not None:
        threads.append(threading.Thread(target=requests.serve_channel, args=request, name="paramiko command"))
        threads[-1].start()
    for thread in threads:
        thread.join(ANSWER_SECONDS)
