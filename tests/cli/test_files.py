"""stdin and stdout as streams: pipes, sockets, regular files and devices; what we share with others stays as it was."""

from __future__ import annotations

import os
import socket

import pytest
import trio

from trio_ssh.cli.files import open_input, open_output

DATA = os.urandom(3 << 20)


async def read_all(number: int) -> bytes:
    content = bytearray()
    async with open_input(number) as source:
        while data := await source.receive_some():
            content += data
    return bytes(content)


async def write_and_close(number: int, data: bytes) -> None:
    try:
        async with open_output(number) as out:
            await out.send_all(data)
    finally:
        os.close(number)


async def test_a_pipe_carries_all_and_stays_blocking():
    reader, writer = os.pipe()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write_and_close, writer, DATA)
            assert await read_all(reader) == DATA
        assert os.get_blocking(reader)
    finally:
        os.close(reader)


async def test_a_pipe_is_never_made_non_blocking():
    """Whoever shares it with us must not notice."""
    reader, writer = os.pipe()
    try:
        async with open_input(reader), open_output(writer) as out:
            assert os.get_blocking(reader)
            assert os.get_blocking(writer)
            await out.send_all(b"x")
        assert os.read(reader, 1) == b"x"
    finally:
        os.close(reader)
        os.close(writer)


async def test_a_socket_is_set_back():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write_and_close, os.dup(theirs.fileno()), DATA)
            content = bytearray()
            async with open_input(ours.fileno()) as source:
                assert not os.get_blocking(ours.fileno())
                while len(content) < len(DATA):
                    content += await source.receive_some()
        assert bytes(content) == DATA
        assert os.get_blocking(ours.fileno())


async def test_regular_files(tmp_path):
    path = tmp_path / "file"
    with path.open("wb", buffering=0) as file:
        async with open_output(file.fileno()) as out:
            await out.send_all(b"first ")
            await out.send_all(DATA)
    with path.open("rb", buffering=0) as file:
        file.seek(6)
        assert await read_all(file.fileno()) == DATA


async def test_devices():
    number = os.open("/dev/null", os.O_RDWR)
    try:
        assert await read_all(number) == b""
        async with open_output(number) as out:
            await out.send_all(DATA)
    finally:
        os.close(number)


async def test_nobody_reads():
    reader, writer = os.pipe()
    os.close(reader)
    try:
        async with open_output(writer) as out:
            with pytest.raises(BrokenPipeError):
                await out.send_all(b"x")
    finally:
        os.close(writer)


async def test_waiting_can_be_cancelled(autojump_clock):
    reader, writer = os.pipe()
    try:
        async with open_input(reader) as source:
            with trio.move_on_after(5) as scope:
                await source.receive_some()
            assert scope.cancelled_caught
        async with open_output(writer) as out:
            with trio.move_on_after(5) as scope:
                await out.send_all(DATA)
            assert scope.cancelled_caught
    finally:
        os.close(reader)
        os.close(writer)
