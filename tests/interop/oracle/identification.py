"""Lines: SM-001 to SM-018."""

from __future__ import annotations

import trio

from tests.interop.oracle.outcomes import ACCEPTED, CLOSED, Outcome
from tests.interop.oracle.steps import Run, Script, script_of, settle
from tests.interop.oracle.talk import Talk
from trio_ssh.protocol.key_exchange import guess_share, start_client

LINE = b"SSH-2.0-oracle"
REST = (Talk.kexinits, Talk.finish_exchange, settle)


def line(text: bytes, ending: bytes = b"\r\n", *, before: bytes = b"") -> Run:
    """Identify like that, and go on as far as the first thing under the first keys."""

    async def identify(talk: Talk) -> None:
        await talk.identify(text, ending, before=before)

    return script_of(identify, *REST, quiet=ACCEPTED)


async def byte_by_byte(talk: Talk) -> None:
    talk.peer.line = LINE
    for byte in LINE + b"\r\n":
        await talk.send_bytes(bytes([byte]))
    await talk.read_line()


async def in_one_segment(talk: Talk) -> Outcome:
    """Line, KEXINIT and the method's message, before the server has said what it can do."""
    init, share = guess_share("curve25519-sha256")
    talk.ours = talk.kexinit()
    await talk.identify(behind=talk.sealed(talk.ours) + talk.sealed(init))
    talk.theirs = await talk.expect(20)
    _, state = start_client(talk.transcript(), talk.negotiate(), share)
    talk.new = state.receive(await talk.expect(31)).trusted()
    await talk.change_keys()
    await settle(talk)
    return talk.outcome(ACCEPTED)


def ends_with(text: bytes) -> Run:
    """Say that, and no more."""

    async def run(talk: Talk) -> Outcome:
        stream = talk.peer.stream
        assert isinstance(stream, trio.abc.HalfCloseableStream)
        await talk.send_bytes(text)
        await stream.send_eof()
        await talk.peer.drain_bytes()
        return CLOSED

    return run


LINES = {
    "sm_001": line(b"SSH-1.5-x"),
    "sm_002": line(b"SSH-1.99-x"),
    "sm_003": line(b"SSH-3.0-x"),
    "sm_006-no_dash": line(b"SSH-2.0"),
    "sm_006-nothing": line(b"SSH-2.0-"),
    "sm_007": line(b"SSH-2.0-ora\0cle"),
    "sm_008": line(b"SSH-2.0-ora\rcle"),
    "sm_009": line(LINE, b"\n"),
    "sm_010-255": line(b"SSH-2.0-" + 245 * b"x"),
    "sm_010-256": line(b"SSH-2.0-" + 246 * b"x"),
    "sm_011": line(b"SSH-2.0-" + 9000 * b"x"),
    "sm_012-utf8": line("SSH-2.0-orakel-ä".encode()),
    "sm_012-tab": line(b"SSH-2.0-ora\tcle"),
    "sm_018-comment": line(b"SSH-2.0-oracle of Delphi"),
    "sm_018-blank": line(b"SSH-2.0-oracle "),
}

TO_BOTH = tuple(Script(name, run) for name, run in LINES.items())

TO_SERVERS = (
    Script("sm_004", line(b"GET / HTTP/1.1")),
    Script("sm_005", line(LINE, before=b"\r\n")),
    Script("sm_013", script_of(byte_by_byte, *REST, quiet=ACCEPTED)),
    Script("sm_014", in_one_segment),
    Script("sm_016-nothing", ends_with(b"")),
    Script("sm_016-half", ends_with(b"SSH-2.0-ora")),
)

TO_CLIENTS = (
    Script("sm_015-1023", line(LINE, before=1023 * b"welcome\r\n")),
    Script("sm_015-1024", line(LINE, before=1024 * b"welcome\r\n")),
    Script("sm_015-1025", line(LINE, before=1025 * b"welcome\r\n")),
)
