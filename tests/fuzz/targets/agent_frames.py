"""Both ends of a connection to an agent: any bytes are requests, answers, or a `DecodeError`; what is read is written again the same."""

from __future__ import annotations

import struct

from tests.agent.samples import ANSWERS, CONSTRAINTS, REQUESTS
from tests.fuzz.choices import Choices, check_text, sized
from trio_ssh.agent import AgentIdentity
from trio_ssh.agent import messages as m
from trio_ssh.agent.constraints import read_constraints, write_constraints
from trio_ssh.agent.frames import FrameStream
from trio_ssh.errors import DecodeError
from trio_ssh.wire.codec import decode, encode

IDENTITIES = 5
FRAME_BYTES = 4000


class Bytes:
    """A stream that gives so many bytes at a time, and nothing else."""

    def __init__(self, data: bytes, step: int) -> None:
        self._data, self._step = data, step

    async def receive_some(self, most: int) -> bytes:
        taken, self._data = self._data[: self._step], self._data[self._step :]
        return taken


def target(data: bytes) -> None:
    choices = Choices(data)
    way, step = choices.byte() % 4, choices.byte() + 1
    try:
        if way == 0:
            _constraints(choices.rest())
        elif way == 1:
            _contents(choices.rest())
        else:
            for message in _messages(choices.rest(), step):
                _request(message) if way == 2 else _answer(message)
    except DecodeError as error:
        check_text(error)


def _messages(data: bytes, step: int) -> list[bytes]:
    """Driven by hand: nothing in there waits for anything but the stream."""
    frames = FrameStream(Bytes(data, step), FRAME_BYTES)  # type: ignore[arg-type]
    found: list[bytes] = []
    try:
        while (message := _run(frames)) is not None:
            assert 0 < len(message) <= FRAME_BYTES
            found.append(message)
    except DecodeError as error:
        check_text(error)
    return found


def _run(frames: FrameStream) -> bytes | None:
    try:
        frames.receive().send(None)
    except StopIteration as done:
        result: bytes | None = done.value
        return result
    raise AssertionError("it waits for what never comes")


def _request(message: bytes) -> None:
    request = m.decode_request(message)
    repr(request)
    assert m.decode_request(m.encode_message(request)) == request


def _answer(message: bytes) -> None:
    answer = m.decode_answer(message)
    assert m.decode_answer(m.encode_message(answer)) == answer
    if isinstance(answer, m.IdentitiesAnswer):
        identities = m.read_identities(answer, IDENTITIES)
        assert len(identities) <= IDENTITIES
        for identity in identities:
            assert identity.algorithm.isprintable()
            _read(identity)
        assert m.read_identities(m.write_identities(identities), IDENTITIES) == identities


def _read(identity: AgentIdentity) -> None:
    try:
        identity.read_key()
    except DecodeError as error:
        check_text(error)


def _constraints(data: bytes) -> None:
    constraints, offset = read_constraints(data, 0)
    assert offset == len(data)
    out = bytearray()
    write_constraints(out, constraints)
    assert read_constraints(bytes(out), 0) == (constraints, len(out))


def _contents(data: bytes) -> None:
    """Of extensions."""
    names = m.read_names(data)
    assert m.read_names(m.write_names(names)) == names
    bind = decode(m.SessionBind, data)
    assert decode(m.SessionBind, encode(bind)) == bind


def frame(message: bytes) -> bytes:
    return struct.pack(">I", len(message)) + message


def seeds() -> list[bytes]:
    packed = [bytearray() for _ in CONSTRAINTS]
    for place, out in enumerate(packed):
        write_constraints(out, CONSTRAINTS[place : place + 1])
    requests = [frame(m.encode_message(request)) for request in REQUESTS]
    answers = [frame(m.encode_message(answer)) for answer in ANSWERS]
    return [
        *(b"\0\0" + bytes(out) for out in packed),
        b"\0\0" + b"".join(map(bytes, packed)),
        b"\1\0" + m.write_names([m.QUERY, m.SESSION_BIND]),
        b"\1\0" + encode(m.SessionBind(b"key", b"id", b"signature", False)),
        *(b"\2\xff" + message for message in requests),
        *(b"\3\xff" + message for message in answers),
        b"\2\2" + b"".join(requests),
        b"\3\2" + b"".join(answers),
        b"\2\xff" + b"\xff\xff\xff\xff" + sized(b"x"),
    ]
