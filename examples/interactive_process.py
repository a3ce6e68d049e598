"""Talk with a program on another machine while it runs: a shell that does sums, one question and one answer at a time.

python examples/interactive_process.py --user ada --port 2222 127.0.0.1 '6 * 7' '2 + 2'
"""

from __future__ import annotations

import argparse
import sys

import trio

import trio_ssh

ANSWER_SECONDS = 10


class Lines:
    """The lines of a stream, one at a time; b"" at its end."""

    def __init__(self, stream: trio.abc.ReceiveStream) -> None:
        self._stream = stream
        self._buffer = b""

    async def next(self) -> bytes:
        while b"\n" not in self._buffer:
            chunk = await self._stream.receive_some()
            if not chunk:
                line, self._buffer = self._buffer, b""
                return line
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


async def print_errors(stream: trio.abc.ReceiveStream) -> None:
    """Stdout and stderr share a window: whoever asks for both must read both."""
    async for chunk in stream:
        print(f"  on stderr: {trio_ssh.printable(bytes(chunk))}")


async def converse(host: str, port: int, user: str | None, sums: list[str]) -> None:
    async with (
        trio_ssh.connect(host, port, username=user) as client,
        client.open_process("sh") as process,
        trio.open_nursery() as nursery,
    ):
        assert process.stderr is not None  # it is a stream of its own unless we ask for something else
        nursery.start_soon(print_errors, process.stderr)
        answers = Lines(process.stdout)
        for text in sums:
            with trio.fail_after(ANSWER_SECONDS):
                await process.stdin.send_all(f"echo $(({text}))\n".encode())
                answer = await answers.next()
            print(f"{text} = {trio_ssh.printable(answer)}")
        await process.stdin.aclose()  # the shell's end of file
        print("the shell has ended with exit status", await process.wait())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=22)
    parser.add_argument("--user")
    parser.add_argument("host")
    parser.add_argument("sum", nargs="+")
    wanted = parser.parse_args()
    status = 0
    try:
        trio.run(converse, wanted.host, wanted.port, wanted.user, wanted.sum)
    except* trio_ssh.SSHError as errors:
        for error in errors.exceptions:
            print(f"interactive_process: {error}", file=sys.stderr)
        status = 255
    return status


if __name__ == "__main__":
    sys.exit(main())
