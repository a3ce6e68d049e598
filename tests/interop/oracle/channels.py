"""Global requests and channels: SM-111 to SM-157; messages that nobody knows: SM-158 to SM-164."""

from __future__ import annotations

import struct
from collections.abc import Callable

from tests.interop.oracle.outcomes import ACCEPTED
from tests.interop.oracle.steps import (
    Run,
    Script,
    after_login,
    before_login,
    before_service,
    in_session,
    open_session,
    run_command,
    says,
    script_of,
    start,
)
from tests.interop.oracle.talk import Talk
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.connection import (
    ChannelClose,
    ChannelData,
    ChannelEof,
    ChannelExtendedData,
    ChannelFailure,
    ChannelOpen,
    ChannelOpenConfirmation,
    ChannelOpenFailureMessage,
    ChannelRequest,
    ChannelSuccess,
    ChannelWindowAdjust,
    Env,
    Exec,
    ExitSignal,
    ExitStatus,
    GlobalRequest,
    PtyReq,
    RequestFailure,
    RequestSuccess,
    Signal,
    Subsystem,
    WindowChange,
    X11Req,
)
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Disconnect, Ping, Pong

NOBODY = 77
"""A channel that was never opened."""

Make = Callable[[int], object]


def string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def forward(address: bytes, port: int) -> GlobalRequest:
    return GlobalRequest("tcpip-forward", True, string(address) + struct.pack(">I", port))


def opens(channel_type: str, *, window: int = 1 << 20, packet: int = 32768, fields: bytes = b"") -> ChannelOpen:
    return ChannelOpen(channel_type, 5, window, packet, fields)


def data(content: bytes) -> Make:
    return lambda channel: ChannelData(channel, content)


def extended(kind: int, content: bytes = b"x") -> Make:
    return lambda channel: ChannelExtendedData(channel, kind, content)


def adjusts(more: int) -> Make:
    return lambda channel: ChannelWindowAdjust(channel, more)


def asks(name: str, fields: object = b"", *, reply: bool = True) -> Make:
    """A channel request."""
    return lambda channel: ChannelRequest(channel, name, reply, fields if isinstance(fields, bytes) else encode(fields))


def sessions(count: int) -> Run:
    """So many; the last one's answer is the outcome."""

    async def open_others(talk: Talk) -> None:
        for number in range(count - 1):
            await open_session(talk, 10 + number)

    return script_of(start, open_others, says(opens("session")), Talk.receive_answer)


async def open_twice(talk: Talk) -> None:
    """Two channels with one number of ours."""
    await open_session(talk)
    await open_session(talk)


async def say_data_too_early(talk: Talk) -> None:
    """As a server: to a channel that the client has asked for and is not given yet."""
    theirs = decode(ChannelOpen, await talk.expect(M.CHANNEL_OPEN)).sender_channel
    await talk.send(ChannelData(theirs, b"x"))


def beyond_window(over: int) -> Run:
    """All that the window takes, and more, to a command that reads nothing. OpenSSH's window is no bigger than ours."""

    async def fill(talk: Talk) -> None:
        await talk.send(opens("session"))
        confirmation = await talk.expect(M.CHANNEL_OPEN_CONFIRMATION)
        channel, window, packet = struct.unpack(">III", confirmation[5:17])
        await run_command(talk, channel, "sleep 5")
        whole, rest = divmod(window + over, packet)
        await talk.send(*(whole * [ChannelData(channel, bytes(packet))]), ChannelData(channel, bytes(rest)))

    return script_of(start, fill, Talk.probe, quiet=ACCEPTED)


def when_closed(make: Make) -> Run:
    """To a channel that is no more."""

    async def act(talk: Talk) -> None:
        channel = await open_session(talk)
        await talk.send(ChannelClose(channel))
        await talk.expect(M.CHANNEL_CLOSE)
        await talk.send(make(channel))

    return script_of(start, act, Talk.probe)


IDLE = "sleep 5"
LANG = Env(b"LANG", b"C")
PTY = PtyReq("vt100", 80, 24, 0, 0, b"\0")
UNASSIGNED = (8, 19, 54, 59, 83, 89, 101, 127, 128, 191)

WHEN_LOGGED_IN: dict[str, object] = {
    "sm_111-reply": GlobalRequest("request@oracle", True),
    "sm_111-no_reply": GlobalRequest("request@oracle", False),
    "sm_112-success": RequestSuccess(),
    "sm_112-failure": RequestFailure(),
    "sm_117": opens("channel@oracle"),
    "sm_118-utf8": b"\x5a" + string(b"\xff") + bytes(12),
    "sm_123-x11": opens("x11", fields=string(b"127.0.0.1") + bytes(4)),
    "sm_123-agent": opens("auth-agent@openssh.com"),
    "sm_125-confirmation": ChannelOpenConfirmation(NOBODY, 0, 1000, 1000),
    "sm_125-failure": ChannelOpenFailureMessage(NOBODY, 1, "no"),
    "sm_128-data": ChannelData(NOBODY, b"x"),
    "sm_128-extended": ChannelExtendedData(NOBODY, 1, b"x"),
    "sm_128-eof": ChannelEof(NOBODY),
    "sm_128-close": ChannelClose(NOBODY),
    "sm_129-never": ChannelWindowAdjust(NOBODY, 1),
    "sm_130-never": ChannelSuccess(NOBODY),
    "sm_131-never": asks("env", LANG)(NOBODY),
    "sm_157-global": GlobalRequest("keepalive@openssh.com", True),
    "sm_158-54": b"\x36",
    "sm_158-191": b"\xbf",
    "sm_158-194": b"\xc2",
    "sm_158-ping": Ping(b"x"),
    "sm_160": b"\x03\0\0\x03\xe7",
    "sm_162": Pong(b"x"),
    "sm_163-code": Disconnect(2**32 - 1, "so long"),
}
IN_SESSION: dict[str, Run] = {
    "sm_125-confirmation_open": in_session(lambda channel: ChannelOpenConfirmation(channel, 0, 1000, 1000)),
    "sm_126": in_session(lambda channel: ChannelOpenFailureMessage(channel, 1, "no")),
    "sm_130-none_pending": in_session(ChannelSuccess),
    "sm_133-reply": in_session(asks("request@oracle")),
    "sm_133-no_reply": in_session(asks("request@oracle", reply=False)),
    "sm_136": in_session(data(bytes(32769)), quiet=ACCEPTED),
    "sm_137-cut": in_session(lambda channel: b"\x5e" + struct.pack(">II", channel, 9) + b"cut"),
    "sm_137-trailing": in_session(lambda channel: encode(ChannelData(channel, b"x")) + b"more"),
    "sm_139-2": in_session(extended(2)),
    "sm_141-over": in_session(adjusts(2**32 - 1)),
    "sm_141-0": in_session(adjusts(0)),
    "sm_142": in_session(ChannelEof, data(b"x"), command=IDLE),
    "sm_143": in_session(ChannelEof, extended(1), command=IDLE),
    "sm_144": in_session(ChannelEof, ChannelEof, command=IDLE),
    "sm_157-channel": in_session(asks("keepalive@openssh.com")),
}

TO_BOTH = (
    *(Script(name, after_login(message)) for name, message in WHEN_LOGGED_IN.items()),
    *(Script(name, run) for name, run in IN_SESSION.items()),
    *(Script(f"sm_159-{number}", before_service(bytes([number]))) for number in (54, 191, 194)),
)

TO_SERVERS = (
    Script("sm_114-65536", after_login(forward(b"127.0.0.1", 65536))),
    Script("sm_114-junk", after_login(forward(b"no such place", 0))),
    Script("sm_114-nul", after_login(forward(b"127.0.0.1\0", 0))),
    Script("sm_115-cancel", after_login(GlobalRequest("cancel-tcpip-forward", True, string(b"127.0.0.1") + b"\0\0\x7f\xff"))),
    Script("sm_116-trailing", after_login(GlobalRequest("request@oracle", True, b"and more"))),
    Script("sm_118-large", after_login(b"\x5a" + string(200_000 * b"x") + bytes(12))),
    Script("sm_119", after_login(opens("session", fields=b"more"))),
    Script("sm_120-packet_0", after_login(opens("session", packet=0))),
    Script("sm_120-window_0", after_login(opens("session", window=0))),
    Script("sm_120-most", after_login(opens("session", window=2**32 - 1, packet=2**32 - 1))),
    Script("sm_121", script_of(start, open_twice, Talk.probe, quiet=ACCEPTED)),
    Script("sm_122-10", sessions(10)),
    Script("sm_122-11", sessions(11)),
    Script("sm_127", after_login(GlobalRequest("no-more-sessions@openssh.com", False), opens("session"))),
    Script("sm_128-data_closed", when_closed(data(b"x"))),
    Script("sm_129-closed", when_closed(adjusts(1))),
    Script("sm_130-closed", when_closed(ChannelFailure)),
    Script("sm_131-closed", when_closed(asks("env", LANG))),
    Script("sm_134", in_session(asks("env", b"\0\0\x03\xe7LANG"), command=None)),
    Script("sm_135-all", beyond_window(0)),
    Script("sm_135-1", beyond_window(1)),
    Script("sm_138", in_session(*(1000 * [data(b"")]))),
    Script("sm_139-1", in_session(extended(1))),
    Script("sm_145", when_closed(ChannelClose)),
    Script("sm_147-data", in_session(ChannelClose, data(b"x"), command=IDLE)),
    Script("sm_147-eof", in_session(ChannelClose, ChannelEof, command=IDLE)),
    Script("sm_147-request", in_session(ChannelClose, asks("env", LANG), command=IDLE)),
    Script("sm_150-exec", in_session(asks("exec", Exec(b"cat")))),
    Script("sm_150-shell", in_session(asks("shell"))),
    Script("sm_150-subsystem", in_session(asks("subsystem", Subsystem("thing@oracle")), command=None)),
    Script("sm_151-twice", in_session(asks("pty-req", PTY, reply=False), asks("pty-req", PTY), command=None)),
    Script("sm_151-after_exec", in_session(asks("pty-req", PTY))),
    Script("sm_151-cut", in_session(asks("pty-req", encode(PTY)[:-1]), command=None)),
    Script("sm_152-not_allowed", in_session(asks("env", Env(b"LD_PRELOAD", b"x")), command=None)),
    Script("sm_152-equals", in_session(asks("env", Env(b"LC_A=B", b"x")), command=None)),
    Script("sm_152-nul", in_session(asks("env", Env(b"LC_A\0B", b"x")), command=None)),
    Script("sm_153-window", in_session(asks("window-change", WindowChange(80, 24, 0, 0)), command=None)),
    Script("sm_153-signal", in_session(asks("signal", Signal("TERM")), command=None)),
    Script("sm_153-unknown_signal", in_session(asks("signal", Signal("THING@oracle")))),
    Script("sm_153-break", in_session(asks("break", struct.pack(">I", 500)), command=None)),
    Script("sm_154", in_session(asks("exit-status", ExitStatus(0)))),
    Script("sm_156-agent", in_session(asks("auth-agent-req@openssh.com"), command=None)),
    Script("sm_156-x11", in_session(asks("x11-req", X11Req(False, "MIT-MAGIC-COOKIE-1", "00", 0)), command=None)),
    Script("sm_157-eow", in_session(asks("eow@openssh.com", reply=False))),
    *(Script(f"sm_158-{number}", after_login(bytes([number]))) for number in (*UNASSIGNED, 255) if number not in (54, 191)),
    *(Script(f"sm_159-{number}", before_service(bytes([number]))) for number in (*UNASSIGNED, 255) if number not in (54, 191)),
    *(Script(f"sm_159-{number}_in_auth", before_login(bytes([number]))) for number in (54, 191, 255)),
    Script("sm_161-early", before_login(Ping(b"x"))),
    Script("sm_163-early", before_login(Disconnect(11, ""))),
)

TO_CLIENTS = (
    Script("sm_132", script_of(start, say_data_too_early, Talk.probe)),
    Script("sm_154-once", in_session(asks("exit-status", ExitStatus(3), reply=False))),
    Script("sm_154-twice", in_session(*(2 * [asks("exit-status", ExitStatus(3), reply=False)]))),
    Script("sm_154-cut", in_session(asks("exit-status", b"\0\0", reply=False))),
    Script("sm_155-name", in_session(asks("exit-signal", ExitSignal("THING", False, "\x1b[2J\udcff", ""), reply=False))),
    Script("sm_155-large", in_session(asks("exit-signal", ExitSignal("TERM", False, 100_000 * "x", ""), reply=False))),
    Script("sm_123-session", after_login(opens("session"))),
    Script("sm_123-forwarded", after_login(opens("forwarded-tcpip", fields=string(b"a") + bytes(4) + string(b"b") + bytes(4)))),
)
