"""What the tests of the thirteen stall invariants share: the essay is in test_stall_invariants.py."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterator, Sequence

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_ssh
from tests import pairs
from tests.raw_peer import RawPeer
from trio_ssh.connection.channel import Channel
from trio_ssh.protocol.key_budget import UNLIMITED
from trio_ssh.protocol.key_exchange import ExpectKexInit, ExpectKexReply, ExpectNewKeys, Transcript, start_client, start_server
from trio_ssh.protocol.role import Role
from trio_ssh.testing import deterministic_schedule
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.connection import ChannelOpen, ChannelOpenConfirmation, ChannelRequest, ChannelSuccess
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import NewKeys

KEX_ONLY = {1, 2, 3, 4, *range(20, 50)}
"""What may leave between our KEXINIT and our NEWKEYS (RFC 4253 §7.1)."""

@pytest.fixture(autouse=True)
def same_schedule() -> Iterator[None]:
    """For every test of a file that imports it: tasks that are ready run in the same order each time."""
    with deterministic_schedule(0):
        yield


TYPED = (trio_ssh.SSHError, trio.BrokenResourceError, trio.ClosedResourceError)


async def expect_lost(words: str, function: Callable[..., Awaitable[object]], *arguments: object) -> None:
    """The call fails because the connection is gone, and says why in these words; a stream's error says it too."""
    with pytest.raises((trio_ssh.ConnectionLost, trio_ssh.RemoteProtocolError, trio.BrokenResourceError), match=words):
        while True:
            await function(*arguments)


async def grant_session(raw: RawPeer, *, window: int = 1 << 20) -> tuple[int, int]:
    """As a server: confirm the next session and say yes to its command. Gives the client's number of the channel and ours."""
    opened = decode(ChannelOpen, await raw.expect(M.CHANNEL_OPEN))
    ours = 100 + opened.sender_channel
    await raw.send(ChannelOpenConfirmation(opened.sender_channel, ours, window, 32768))
    request = decode(ChannelRequest, await raw.expect(M.CHANNEL_REQUEST))
    assert (request.recipient_channel, request.request_type, request.want_reply) == (ours, "exec", True)
    await raw.send(ChannelSuccess(opened.sender_channel))
    return opened.sender_channel, ours


async def until_seen(raw: RawPeer, number: int) -> None:
    """Receive until such a message has come; whenever fresh keys are asked for meanwhile, the raw peer agrees."""
    while number not in raw.numbers:
        payload = await raw.receive()
        assert payload is not None, f"the stream ended where {M(number).name} was due"
        if payload[0] == M.KEXINIT:
            await raw.exchange_keys(theirs=payload)


def between_kexinit_and_newkeys(numbers: list[int]) -> list[list[int]]:
    """What came between each KEXINIT and the next NEWKEYS."""
    found: list[list[int]] = []
    inside = False
    for number in numbers:
        if number == M.KEXINIT:
            inside = True
            found.append([])
        elif number == M.NEWKEYS:
            inside = False
        elif inside:
            found[-1].append(number)
    return found


# -- one exchange, piece by piece ------------------------------------------------------------------------------------------------------


async def send_share(raw: RawPeer, ours: bytes, theirs: bytes) -> ExpectKexReply:
    """As a client, with both KEXINITs known: the method's first message."""
    transcript = Transcript(client_line=raw.line, server_line=raw.peer_line, client_kexinit=ours, server_kexinit=theirs)
    share, state = start_client(transcript, raw.negotiator.receive(theirs).negotiated)
    await raw.send(share)
    assert isinstance(state, ExpectKexReply)
    return state


async def agree(raw: RawPeer, ours: bytes, theirs: bytes) -> tuple[list[bytes], ExpectNewKeys]:
    """Up to the keys. A server's last message is not sent yet: it is given, to be sent with what follows."""
    if raw.role is Role.CLIENT:
        return [], (await send_share(raw, ours, theirs)).receive(await raw.expect(31)).trusted()
    transcript = Transcript(client_line=raw.peer_line, server_line=raw.line, client_kexinit=theirs, server_kexinit=ours)
    state = start_server(transcript, raw.negotiator.receive(theirs).negotiated, pairs.HOST_KEY)
    assert isinstance(state, ExpectKexInit)
    reply, new = state.receive(await raw.expect(30))
    return [reply], new


def with_fresh_keys(raw: RawPeer, new: ExpectNewKeys, before: Sequence[object], behind: Sequence[object]) -> bytes:
    """The bytes of what is sealed under the old keys, of NEWKEYS, and of what is under the fresh ones."""
    for message in [*before, NewKeys()]:
        raw.sealer.seal(message if isinstance(message, bytes) else encode(message))
    raw.session_id = raw.session_id or new.exchange_hash
    key = new.sealing_key(raw.role, raw.session_id)
    raw.sealer.switch_keys(key, UNLIMITED, lambda: None, reset_sequence=new.negotiated.strict_kex)
    for message in behind:
        raw.sealer.seal(message if isinstance(message, bytes) else encode(message))
    return bytes(raw.sealer.take_batch())


async def send_split(raw: RawPeer, data: bytes, *splits: int) -> None:
    """In segments, each of which is dealt with before the next comes."""
    for start, end in itertools.pairwise([0, *splits, len(data)]):
        await raw.send_bytes(data[start:end])
        await wait_all_tasks_blocked()


def splits_of(size: int) -> list[tuple[int, ...]]:
    """Nowhere, at each place, and everywhere."""
    return [(), *((at,) for at in range(1, size)), tuple(range(1, size))]


# -- bulk ------------------------------------------------------------------------------------------------------------------------------


async def send_all_of(channel: Channel, data: bytes, piece: int | None = None) -> None:
    """`data`, at once or in pieces, and the end of it."""
    for start in range(0, len(data), piece or len(data)):
        await channel.send_all(data[start : start + (piece or len(data))])
    await channel.send_eof()


async def all_of(channel: Channel, data: bytes) -> None:
    """Everything up to the end is `data`."""
    received = bytearray()
    async for chunk in channel:
        received += chunk
    assert pairs.sha256(received) == pairs.sha256(data)
