"""Messages over a stream: however they are cut, up to the largest, and nothing of one that is too large."""

from __future__ import annotations

import struct

import pytest
import trio
import trio.testing

from tests.agent.double import LIMITS
from tests.faults.cancelling import cancel_everywhere
from trio_ssh import DecodeError, LocalProtocolError
from trio_ssh.agent import AgentLimits
from trio_ssh.agent.frames import LENGTH_BYTES, RECEIVE_BYTES, FrameStream


def frame(message: bytes) -> bytes:
    return struct.pack(">I", len(message)) + message


def ends(frame_bytes: int = LIMITS.frame_bytes) -> tuple[FrameStream, trio.testing.MemoryReceiveStream, trio.StapledStream]:
    """A frame stream, and the other end of what it receives from."""
    ours, theirs = trio.testing.memory_stream_pair()
    return FrameStream(ours, frame_bytes), ours.receive_stream, theirs


async def test_messages_come_as_they_were_sent() -> None:
    frames, _, theirs = ends()
    other = FrameStream(theirs, LIMITS.frame_bytes)
    for message in (b"\x0b", b"abc", bytes(1000)):
        await frames.send(message)
        assert await other.receive() == message
    await trio.aclose_forcefully(frames.stream)
    assert await other.receive() is None


async def test_many_at_once_and_byte_by_byte() -> None:
    frames, _, theirs = ends()
    messages = [b"one", b"two!", b"\5"]
    data = b"".join(map(frame, messages))
    await theirs.send_all(data)
    assert [await frames.receive() for _ in messages] == messages
    assert not frames.has_more

    async def send_slowly() -> None:
        for byte in data:
            await theirs.send_all(bytes([byte]))
            await trio.testing.wait_all_tasks_blocked()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_slowly)
        assert [await frames.receive() for _ in messages] == messages


async def test_e02_a_frame_of_the_largest_size_and_one_byte_more() -> None:
    """AgentLimits.frame_bytes: 256 KiB are taken, one byte more is refused when its length is known."""
    assert AgentLimits().frame_bytes == 256 * 1024
    frames, _, theirs = ends()
    await theirs.send_all(frame(bytes(LIMITS.frame_bytes)))
    assert await frames.receive() == bytes(LIMITS.frame_bytes)
    await theirs.send_all(struct.pack(">I", LIMITS.frame_bytes + 1))
    with pytest.raises(DecodeError, match="a message says that it has 262145 bytes; 1 to 262144 are taken"):
        await frames.receive()


@pytest.mark.parametrize("size", [0, 2**31 - 1, 2**31, 2**32 - 1])
async def test_e02_a_frame_of_4_gib_is_refused_with_nothing_kept(size) -> None:
    frames, _, theirs = ends()
    await theirs.send_all(struct.pack(">I", size) + bytes(1000))
    with pytest.raises(DecodeError, match="1 to 262144 are taken"):
        await frames.receive()
    assert len(frames._received) <= RECEIVE_BYTES


async def test_e02_a_smaller_limit() -> None:
    frames, _, theirs = ends(frame_bytes=10)
    await theirs.send_all(frame(bytes(10)) + frame(bytes(11)))
    assert await frames.receive() == bytes(10)
    with pytest.raises(DecodeError):
        await frames.receive()
    with pytest.raises(LocalProtocolError, match="11 bytes is too large for an agent: 10 is the most"):
        await frames.send(bytes(11))


@pytest.mark.parametrize("size", range(1, LENGTH_BYTES + 7))
async def test_e02_a_stream_that_ends_within_a_message(size) -> None:
    frames, _, theirs = ends()
    await theirs.send_all(frame(b"message")[:size])
    await theirs.aclose()
    with pytest.raises(DecodeError, match="in the middle of a message"):
        await frames.receive()


async def test_receiving_can_be_cancelled_anywhere_and_taken_up_again() -> None:
    frames, _, theirs = ends()
    received: list[bytes | None] = []
    sent = 0

    async def exchange() -> None:
        nonlocal sent
        async with trio.open_nursery() as nursery:

            async def send() -> None:
                nonlocal sent
                message = frame(b"message %d" % sent)
                sent += 1
                with trio.CancelScope(shield=True):  # who sends is not the one that is cancelled
                    for start in range(0, len(message), 3):
                        await theirs.send_all(message[start : start + 3])

            nursery.start_soon(send)
            received.append(await frames.receive())

    async def check() -> None:
        while len(received) < sent:
            received.append(await frames.receive())
        assert received == [b"message %d" % number for number in range(sent)]

    await cancel_everywhere(exchange, check)
