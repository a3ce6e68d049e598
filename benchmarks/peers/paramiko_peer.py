"""Paramiko, both ends: a thread for each connection, and in the server one for each command."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import paramiko

from benchmarks.peers.common import BLOCK_BYTES, HOST, USER, Setup, Verb, blocks, check_count, listening, pause, run_peer

KEX_NAMES = {"curve25519-sha256": "curve25519-sha256@libssh.org"}  # the same method under its older name


def choose(transport: paramiko.Transport, setup: Setup) -> None:
    options = transport.get_security_options()
    options.ciphers = (setup.cipher,)
    options.kex = (KEX_NAMES.get(setup.kex, setup.kex),)
    if setup.rekey_bytes is not None:
        transport.packetizer.REKEY_BYTES = setup.rekey_bytes


def no_delay(sock: socket.socket) -> socket.socket:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def handle(channel: paramiko.Channel, command: str, argument: str) -> None:
    """Each command first waits for the client, so that nothing overtakes the answer to its exec request."""
    counted = 0
    while chunk := channel.recv(BLOCK_BYTES):
        counted += len(chunk)
        if command == "echo":
            channel.sendall(chunk)
        elif command == "source":
            for block in blocks(int(argument)):
                channel.sendall(block)
            break
    if command == "sink":
        channel.sendall(b"%d" % counted)
    channel.send_exit_status(0)
    channel.close()


class Server(paramiko.ServerInterface):  # type: ignore[misc]  # it ships no types
    def __init__(self, user_key: paramiko.PKey) -> None:
        self.user_key = user_key

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return int(paramiko.AUTH_SUCCESSFUL if key == self.user_key else paramiko.AUTH_FAILED)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED)

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        name, _, argument = command.decode().partition(" ")
        threading.Thread(target=handle, args=(channel, name, argument), daemon=True).start()
        return True


def serve(setup: Setup) -> None:
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # clients that hang up without a word are part of some rows
    host_key = paramiko.Ed25519Key.from_private_key_file(str(setup.host_key))
    server = Server(paramiko.Ed25519Key.from_private_key_file(str(setup.user_key)))
    transports: list[paramiko.Transport] = []  # a transport that nobody holds would end
    with socket.create_server((HOST, 0), backlog=128) as listener:
        listening(listener.getsockname()[1])
        while True:
            transport = paramiko.Transport(no_delay(listener.accept()[0]))
            choose(transport, setup)
            transport.add_server_key(host_key)
            transport.start_server(event=threading.Event(), server=server)
            transports = [*(one for one in transports if one.is_alive()), transport]


class Driver:
    """The client's verbs."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.host_key = paramiko.Ed25519Key.from_private_key_file(str(setup.host_key))
        self.user_key = paramiko.Ed25519Key.from_private_key_file(str(setup.user_key))

    def connect(self) -> paramiko.Transport:
        transport = paramiko.Transport(no_delay(socket.create_connection((HOST, self.setup.port))))
        choose(transport, self.setup)
        transport.connect(hostkey=self.host_key, username=USER, pkey=self.user_key)
        return transport

    def bulk_up(self, size: int) -> float:
        with self.connect() as client:
            started = time.perf_counter()
            channel = client.open_session()
            channel.exec_command("sink")
            for block in blocks(size):
                channel.sendall(block)
            channel.shutdown_write()
            text = b"".join(iter(lambda: channel.recv(BLOCK_BYTES), b""))
            seconds = time.perf_counter() - started
        check_count(size, int(text))
        return seconds

    def bulk_down(self, size: int) -> float:
        counted = 0
        with self.connect() as client:
            started = time.perf_counter()
            channel = client.open_session()
            channel.exec_command(f"source {size}")
            channel.sendall(b"g")
            while chunk := channel.recv(BLOCK_BYTES):
                counted += len(chunk)
            seconds = time.perf_counter() - started
        check_count(size, counted)
        return seconds

    def login(self, times: int) -> float:
        started = time.perf_counter()
        for _ in range(times):
            with self.connect() as client:
                run_true(client)
        return time.perf_counter() - started

    def echo(self, times: int) -> float:
        with self.connect() as client:
            channel = client.open_session()
            channel.exec_command("echo")
            started = time.perf_counter()
            for _ in range(times):
                channel.sendall(b"x")
                channel.recv(1)
            return time.perf_counter() - started

    def execute(self, times: int, at_once: int) -> float:
        def some(client: paramiko.Transport) -> None:
            for _ in range(times // at_once):
                run_true(client)

        with self.connect() as client, ThreadPoolExecutor(at_once) as pool:
            started = time.perf_counter()
            list(pool.map(some, [client] * at_once))
            return time.perf_counter() - started

    def hold(self, first: int, more: int) -> None:
        held: list[paramiko.Transport] = []
        for count in (first, more):
            for _ in range(count):
                held.append(self.connect())
            pause()
        for client in held:
            client.close()


def run_true(client: paramiko.Transport) -> None:
    channel = client.open_session()
    channel.exec_command("true")
    channel.shutdown_write()
    if channel.recv(1) or channel.recv_exit_status() != 0:
        raise SystemExit("the command failed")
    channel.close()


def verbs(setup: Setup) -> Mapping[str, Verb]:
    driver = Driver(setup)
    return {name: getattr(driver, name) for name in ("bulk_up", "bulk_down", "login", "echo", "execute", "hold")}


if __name__ == "__main__":
    run_peer(serve, verbs)
