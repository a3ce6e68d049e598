"""``trio-ssh-demo``: a server and a client on this machine, shown at work. Takes a few seconds and leaves nothing behind."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import attrs
import trio

from .. import (
    AcceptNew,
    AuthenticationFailed,
    AuthorizedKeys,
    ChannelClosed,
    ChannelOpened,
    Client,
    Event,
    HostKeyError,
    KnownHosts,
    PrivateKey,
    PrivateKeyCredential,
    ServerSession,
    Terminal,
    __version__,
    connect,
    serve,
)
from ..server.run_command import run_command
from .event_text import event_text
from .options import UsageError
from .report import run_tool
from .ssh_arguments import local_user

TOOL = "trio-ssh-demo"
HOST = "127.0.0.1"
MIB = 1 << 20
TRANSFER_MIB = 64
REKEYS = 4


def main(words: Sequence[str] | None = None) -> int:
    """Run the demonstration; 0 if all went as it should."""
    return run_tool(TOOL, _run, words)


def _run(words: Sequence[str]) -> int:
    if words:
        raise UsageError("it takes no arguments")
    with tempfile.TemporaryDirectory(prefix="trio-ssh-demo-") as folder:
        trio.run(_demonstrate, Path(folder))
    return 0


async def _demonstrate(folder: Path) -> None:
    started = trio.current_time()
    print(f"trio_ssh {__version__}: a server and a client on this machine\n")
    async with trio.open_nursery() as nursery:
        stage = await _start_server(nursery, folder)
        await _first_connection(stage)
        await _refusals(stage)
        nursery.cancel_scope.cancel()
    print(f"\nDone in {trio.current_time() - started:.1f} s. The server, its keys and its folder are gone.")


@attrs.frozen
class Stage:
    """What the scenes play with."""

    port: int
    user_key: PrivateKey
    known_hosts: KnownHosts


async def _start_server(nursery: trio.Nursery, folder: Path) -> Stage:
    host_key, user_key = PrivateKey.generate(), PrivateKey.generate()
    listeners = await nursery.start(
        lambda task_status: serve(
            run_command(_by_plain_shell, account=local_user(), takes_signals=True),
            0,
            host=HOST,
            host_keys=[host_key],
            authenticate=AuthorizedKeys.of([user_key.public_key]),
            task_status=task_status,
        )
    )
    port = listeners[0].socket.getsockname()[1]
    _tell("server", f"listening on {HOST} port {port}; its key is {host_key.public_key.fingerprint()}")
    return Stage(port, user_key, KnownHosts([folder / "known_hosts"]))


def _by_plain_shell(session: ServerSession) -> Sequence[str]:
    """Not the account's own shell: the commands below must mean the same everywhere."""
    return ("/bin/sh", "-c", session.command or "true")


async def _first_connection(stage: Stage) -> None:
    before = trio.current_time()
    async with connect(
        HOST,
        stage.port,
        username="demo",
        credentials=[PrivateKeyCredential(stage.user_key)],
        host_keys=AcceptNew(stage.known_hosts),
        observer=_show_event,
    ) as client:
        _tell("client", f"logged in after {(trio.current_time() - before) * 1000:.0f} ms; the host key was new and is saved")
        await _commands(client)
        await _conversation(client)
        await _transfer(client)
        await _cancellation(client)
        await _show_statistics(client)


async def _commands(client: Client) -> None:
    _scene("Commands")
    result = await client.run_process("uname -srm")
    _tell("uname -srm", result.stdout.decode().strip())
    result = await client.run_process("tr a-z A-Z; exit 7", input=b"input goes in, output comes out", check=False)
    _tell("tr a-z A-Z; exit 7", f"{result.stdout.decode()!r}, exit status {result.exit_status}")
    result = await client.run_process("kill -TERM $$", check=False)
    _tell("kill -TERM $$", f"ended by signal {result.exit_signal}")


async def _conversation(client: Client) -> None:
    _scene("A process under a terminal, talked with while it runs")
    command = 'tty; trap "stty size" WINCH; stty -echo; echo ready; while :; do read line && echo "you said $line"; done'
    async with client.open_process(command, terminal=Terminal(columns=80, rows=24)) as process:
        lines = Lines(process.stdout)
        _tell("its terminal is", await lines.next())
        await lines.until("ready")
        process.resize(132, 43)
        await process.stdin.send_all(b"hello\n")
        _tell("after a resize to 132x43", ", then ".join(sorted([await lines.next(), await lines.next()])))
        await process.stdin.send_all(b"\x03")
        await process.wait()
        ending = f"signal {process.exit_signal.name}" if process.exit_signal is not None else f"exit status {process.exit_status}"
        _tell("after Ctrl-C", f"the process has ended: {ending}")


async def _transfer(client: Client) -> None:
    _scene(f"{TRANSFER_MIB} MiB up and down again through cat, the keys renewed {REKEYS} times in mid-stream")
    block = os.urandom(MIB)
    sent, received = hashlib.sha256(), hashlib.sha256()
    before = trio.current_time()
    async with client.open_process("cat") as process, trio.open_nursery() as nursery:

        async def send() -> None:
            for number in range(TRANSFER_MIB):
                if number % (TRANSFER_MIB // REKEYS) == TRANSFER_MIB // REKEYS // 2:
                    nursery.start_soon(client.rekey)
                sent.update(block)
                await process.stdin.send_all(block)
            await process.stdin.aclose()

        nursery.start_soon(send)
        async for chunk in process.stdout:
            received.update(chunk)
    seconds = trio.current_time() - before
    same = sent.digest() == received.digest()
    _tell("SHA-256 of what came back", f"{received.hexdigest()[:16]}… " + ("is that of what was sent" if same else "IS WRONG"))
    _tell("both ways together", f"{2 * TRANSFER_MIB / seconds:.0f} MiB/s in {seconds:.2f} s; client, server and hashes share one thread")
    if not same:
        raise RuntimeError("the data was changed on its way")


async def _cancellation(client: Client) -> None:
    _scene("A command that takes too long")
    before = trio.current_time()
    with trio.move_on_after(0.2):
        await client.run_process("sleep 600")
    _tell(
        "sleep 600",
        f"given up after {trio.current_time() - before:.2f} s; the connection goes on: ping {await client.ping() * 1000:.1f} ms",
    )


async def _show_statistics(client: Client) -> None:
    _scene("Statistics of the connection")
    figures = client.statistics()
    _tell("sent", f"{figures.bytes_sent / MIB:.1f} MiB in {figures.packets_sent} packets")
    _tell("received", f"{figures.bytes_received / MIB:.1f} MiB in {figures.packets_received} packets")
    _tell("keys renewed", f"{len(figures.rekeys)} times" + "".join(f", {cause.value}" for cause in dict.fromkeys(figures.rekeys)))
    _tell("channels open", str(len(figures.channels)))


async def _refusals(stage: Stage) -> None:
    _scene("What is refused")
    try:
        async with connect(
            HOST,
            stage.port,
            username="demo",
            credentials=[PrivateKeyCredential(PrivateKey.generate())],
            host_keys=stage.known_hosts,
        ):
            raise RuntimeError("a wrong key was accepted")
    except AuthenticationFailed as error:
        _tell("a wrong key", f"{type(error).__name__}: {error}")
    try:
        async with connect("localhost", stage.port, username="demo", credentials=[], host_keys=stage.known_hosts):
            raise RuntimeError("an unknown host key was accepted")
    except HostKeyError as error:
        _tell("an unknown host key", f"{type(error).__name__}: {error}")


@attrs.define(eq=False)
class Lines:
    """The lines of a stream, one at a time."""

    _stream: trio.abc.ReceiveStream
    _buffer: bytearray = attrs.field(factory=bytearray)

    async def next(self) -> str:
        while b"\n" not in self._buffer:
            chunk = await self._stream.receive_some()
            if not chunk:
                raise RuntimeError("the process ended too early")
            self._buffer += chunk
        line, _, rest = self._buffer.partition(b"\n")
        self._buffer = bytearray(rest)
        return line.decode("utf-8", "replace").strip()

    async def until(self, text: str) -> None:
        while await self.next() != text:
            pass


def _show_event(event: Event) -> None:
    if not isinstance(event, (ChannelOpened, ChannelClosed)):
        print(f"  {'·':>26}  {event_text(event)}")


def _scene(title: str) -> None:
    print(f"\n{title}")


def _tell(name: str, text: str) -> None:
    print(f"  {name:>26}  {text}")


if __name__ == "__main__":
    sys.exit(main())
