"""A room to talk in: whoever logs in hears what the others type. No program of the operating system is involved.

python examples/chat_server.py --port 2222 --authorized-keys authorized_keys
ssh -T -p 2222 ada@127.0.0.1
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import trio

import trio_ssh

LINES_WAITING = 100
LINE_CHARACTERS = 400


class Room:
    """Who is here. Each guest has a queue of its own, so a slow one delays nobody: it misses lines, and is told so."""

    def __init__(self) -> None:
        self._queues: dict[trio_ssh.ServerSession, trio.MemorySendChannel[str]] = {}
        self._missed: dict[trio_ssh.ServerSession, int] = {}

    def tell_others(self, speaker: trio_ssh.ServerSession, text: str) -> None:
        for guest, queue in self._queues.items():
            if guest is not speaker:
                try:
                    queue.send_nowait(text)
                except trio.WouldBlock:
                    self._missed[guest] += 1

    async def welcome(self, guest: trio_ssh.ServerSession) -> int:
        """The handler of a session: returns when its guest has closed its input."""
        name = trio_ssh.printable(guest.username)
        send_queue, queue = trio.open_memory_channel[str](LINES_WAITING)
        here = ", ".join(sorted(trio_ssh.printable(other.username) for other in self._queues)) or "nobody else"
        self._queues[guest], self._missed[guest] = send_queue, 0
        try:
            await guest.send_all(f"hello {name}; here: {here}\n".encode())
            self.tell_others(guest, f"* {name} comes in")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._pass_on, queue, guest)
                async for line in guest.lines():
                    # What somebody typed is shown on other people's terminals: no control characters.
                    self.tell_others(guest, f"{name}: {trio_ssh.printable(line.rstrip(), LINE_CHARACTERS)}")
                nursery.cancel_scope.cancel()
        finally:
            del self._queues[guest], self._missed[guest]
            self.tell_others(guest, f"* {name} has left")
        return 0

    async def _pass_on(self, queue: trio.MemoryReceiveChannel[str], guest: trio_ssh.ServerSession) -> None:
        async for text in queue:
            await guest.send_all(f"{text}\n".encode())
            if missed := self._missed[guest]:
                self._missed[guest] = 0
                await guest.send_all(f"* you were too slow for {missed} lines\n".encode())


async def serve(port: int, keys_path: Path) -> None:
    key = trio_ssh.PrivateKey.generate()  # a new one each time: keep it in a file for people who come back
    async with trio.open_nursery() as nursery:
        listeners: list[trio.SocketListener] = await nursery.start(
            lambda task_status: trio_ssh.serve(
                Room().welcome,
                port,
                host="127.0.0.1",
                host_keys=[key],
                authenticate=trio_ssh.AuthorizedKeys.from_file(keys_path),
                permit_terminal=False,  # the client's own terminal edits the lines
                task_status=task_status,
            )
        )
        name = listeners[0].socket.getsockname()
        print(f"listening on {name[0]} port {name[1]}; the host key is {key.public_key.fingerprint()}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=2222, help="0 is any free one")
    parser.add_argument("--authorized-keys", type=Path, default=Path("authorized_keys"))
    wanted = parser.parse_args()
    status = 0
    try:
        trio.run(serve, wanted.port, wanted.authorized_keys)
    except* KeyboardInterrupt:
        print("chat_server: stopped", file=sys.stderr)
    except* (trio_ssh.SSHError, OSError) as errors:
        print(f"chat_server: {errors.exceptions[0]}", file=sys.stderr)
        status = 255
    return status


if __name__ == "__main__":
    sys.exit(main())
