"""`Machine`: one end of ours without its tasks. The parts are those of a `Connection`, wired by it; only the waiting is done by hand.

What is emulated is what the tasks decide between two waits, in the plainest way: the supervisor's order of an exchange, the login's next
request, the reader's halts. Everything that judges a message is the library's own. To be used inside `trio.run`, where `trio.current_time`
works; nothing here is awaited.
"""

from __future__ import annotations

from typing import TypeVar

import attrs
import trio
from trio.testing import memory_stream_pair

import trio_ssh
from tests.fuzz.methods import Expecting, begin_client, begin_server
from tests.fuzz.ours import CountingPolicy, KeyToAskAbout, connection_of, offer_for
from tests.fuzz.states import CANARY, USER, Calls, State
from trio_ssh.connection.authenticator import LoggedIn
from trio_ssh.connection.connection import Connection
from trio_ssh.connection.mux import Mux, _Opening
from trio_ssh.connection.parts import Parts
from trio_ssh.connection.rekey_supervisor import InboundKeys, Turn
from trio_ssh.errors import AuthenticationFailed, SSHError
from trio_ssh.protocol.auth_attempt import AuthAttempt
from trio_ssh.protocol.auth_client import ClientAuthentication, KeyAccepted, Refused, ServiceAccepted
from trio_ssh.protocol.auth_server import Hopeless, ServerAuthentication, ServiceWanted
from trio_ssh.protocol.identification import Identification, IdentificationReader
from trio_ssh.protocol.key_exchange import (
    ExpectGroup,
    ExpectGroupRequest,
    ExpectKexInit,
    ExpectKexReply,
    ExpectNewKeys,
)
from trio_ssh.protocol.negotiation import Algorithms
from trio_ssh.protocol.negotiator import PeerKexInit
from trio_ssh.protocol.role import Role
from trio_ssh.protocol.sealer import Gate
from trio_ssh.wire.codec import encode
from trio_ssh.wire.connection import ChannelOpen
from trio_ssh.wire.numbers import MessageNumber as M

T = TypeVar("T")

NO_STREAM, _ = memory_stream_pair()
"""Nobody reads from it or writes to it."""


def all_of(channel: trio.MemoryReceiveChannel[T]) -> list[T]:
    """What waits in a memory channel."""
    found = []
    try:
        while True:
            found.append(channel.receive_nowait())
    except (trio.WouldBlock, trio.EndOfChannel):
        return found


@attrs.define(eq=False)
class Machine:
    """`feed` it what the peer sends, `take` what it sends; `cause` is the error that ended it."""

    role: Role
    state: State
    algorithms: Algorithms
    limits: trio_ssh.Limits = attrs.field(factory=trio_ssh.Limits)
    calls: Calls = attrs.field(factory=Calls)
    cause: SSHError | None = None
    connection: Connection = attrs.field(init=False)
    parts: Parts = attrs.field(init=False)
    _identification: IdentificationReader | None = attrs.field(init=False)
    _ours: bytes = b""
    _expecting: Expecting | None = None
    _keys: trio.MemoryReceiveChannel[InboundKeys] = attrs.field(init=False)
    _prover: ClientAuthentication | None = None
    _checker: ServerAuthentication | None = None

    def __attrs_post_init__(self) -> None:
        self.connection = connection_of(self.role, self.state, NO_STREAM, self.algorithms, self.limits, self.calls)
        self.parts = parts = self.connection.assemble()
        self._identification = IdentificationReader(self.role, self.limits)
        parts.supervisor.keys_out, self._keys = trio.open_memory_channel(1)
        parts.transport.hold(Gate.STRICT_KEX)
        parts.transport.send_line_nowait(parts.supervisor.us.line + b"\r\n")
        if self.role is Role.CLIENT:
            self._ours = parts.supervisor._send_kexinit()

    @property
    def ended(self) -> bool:
        return self.connection._stopping.is_set()

    @property
    def mux(self) -> Mux:
        assert self.connection.mux is not None
        return self.connection.mux

    def take(self) -> bytes:
        """What it has sent since the last time."""
        return bytes(self.parts.transport._sealer.take_batch())

    def end(self, cause: SSHError | None) -> None:
        """As the connection's end does it: everybody is told, a DISCONNECT leaves if one is due, and nothing is read any more."""
        if not self.ended:
            self.cause = cause
            self.connection.end(cause)
            self.connection._tell_everybody(self.parts)

    def close(self) -> None:
        self.end(None)

    # -- the reader --------------------------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Bytes of the peer, in whatever pieces. Whatever is not an `SSHError` comes out."""
        try:
            while data and not self.ended:
                data = self._identify(data) if self._identification is not None else self._receive(data)
        except SSHError as error:
            self.end(error)

    def _identify(self, data: bytes) -> bytes:
        assert self._identification is not None
        peer = self._identification.feed(data)
        if peer is None:
            return b""
        self._identification = None
        self._news(peer)
        return peer.trailing

    def _receive(self, data: bytes) -> bytes:
        opener, router = self.parts.opener, self.parts.router
        space = opener.space()
        size = min(len(space), len(data))
        space[:size] = data[:size]
        opener.received(size)
        while opener.open_batch(router):
            self._run_tasks()
            if router.halted_at == M.NEWKEYS:
                self._take_keys()
            elif router.halted_at:
                router.attach(self.mux)
                self.parts.phases.authentication_succeeded()
            router.halted_at = 0
        self._run_tasks()
        router.check_rekey_patience()
        return data[size:]

    def _take_keys(self) -> None:
        new = self._keys.receive_nowait()
        self.parts.opener.switch_keys(new.key, new.budget, new.on_spent, reset_sequence=new.reset_sequence, decompressor=new.decompressor)
        self.parts.router.keys_changed()
        self.parts.phases.received_newkeys()
        self.parts.supervisor.state.generation_complete = self.parts.supervisor.state.generation

    def _run_tasks(self) -> None:
        """Supervisor and login, each with what the reader has put before it."""
        for news in all_of(self.parts.supervisor.news):
            self._news(news)
        for payload in all_of(self.parts.auth_messages):
            self._auth_message(payload)

    # -- the supervisor ----------------------------------------------------------------------------------------------------------

    def open_channel(self) -> None:
        """What `Mux.open_channel` does before it waits."""
        channel = self.mux._table.add("session")
        assert channel is not None
        self.mux._opening[channel.number] = _Opening(channel)
        self.parts.transport.send_nowait(encode(ChannelOpen("session", channel.number, 1 << 20, 32768)))

    def begin_rekey(self) -> None:
        self._ours = self.parts.supervisor._send_kexinit()

    def _news(self, news: object) -> None:
        supervisor = self.parts.supervisor
        if isinstance(news, Identification):
            supervisor.state.peer_line = news.line
            if self.role is Role.SERVER:
                self._ours = supervisor._send_kexinit()
        elif isinstance(news, PeerKexInit):
            self._begin_method(news)
        elif isinstance(news, bytes):
            self._method_message(news)
        elif news is Turn.AUTHENTICATED:
            supervisor.state.may_rekey = True

    def _begin_method(self, peer: PeerKexInit) -> None:
        supervisor = self.parts.supervisor
        if not self._ours:
            self._ours = supervisor._send_kexinit()
        transcript = supervisor._transcript(self._ours, peer.payload)
        if self.role is Role.CLIENT:
            payload, self._expecting = begin_client(transcript, peer.negotiated)
            self.parts.transport.send_nowait(payload)
        else:
            self._expecting = begin_server(transcript, peer.negotiated)

    def _method_message(self, payload: bytes) -> None:
        expecting = self._expecting
        if isinstance(expecting, (ExpectGroup, ExpectGroupRequest)):
            answer, self._expecting = expecting.receive(payload)
            self.parts.transport.send_nowait(answer)
        elif isinstance(expecting, ExpectKexInit):
            answer, new = expecting.receive(payload)
            self.parts.transport.send_nowait(answer)
            self._install(new)
        elif isinstance(expecting, ExpectKexReply):
            trust = expecting.receive(payload)
            if self.parts.supervisor.state.host_key is None:
                self.calls.trust += 1
            self._install(trust.trusted())

    def _install(self, new: ExpectNewKeys) -> None:
        self._expecting, self._ours = None, b""
        self.parts.supervisor._install(new)
        if all_of(self.parts.transports):
            self._begin_login(new.exchange_hash)

    # -- the login ---------------------------------------------------------------------------------------------------------------

    def _begin_login(self, session_id: bytes) -> None:
        if self.role is Role.CLIENT:
            self._prover = ClientAuthentication(USER, session_id, self.limits)
            self.parts.transport.send_nowait(self._prover.request_service())
        else:
            self._checker = ServerAuthentication(session_id, ("publickey", "password"), self.limits)

    def _auth_message(self, payload: bytes) -> None:
        if self._prover is not None:
            self._client_answer(self._prover, payload)
        elif self._checker is not None:
            self._server_request(self._checker, payload)

    def _client_answer(self, prover: ClientAuthentication, payload: bytes) -> None:
        event = prover.receive(payload)
        transport, offer = self.parts.transport, offer_for(self.state)
        if isinstance(event, ServiceAccepted):
            if isinstance(offer, KeyToAskAbout):
                transport.send_nowait(prover.ask_about_key(offer.algorithms[0], offer.key_blob))
            else:
                transport.send_nowait(prover.request_password(CANARY))
        elif isinstance(event, KeyAccepted):
            assert isinstance(offer, KeyToAskAbout)
            algorithm, blob = offer.algorithms[0], offer.key_blob
            signature = offer.sign_now(algorithm, prover.bytes_to_sign(algorithm, blob))
            transport.send_nowait(prover.request_publickey(algorithm, blob, signature))
        elif isinstance(event, Refused):
            raise AuthenticationFailed("nothing is left to try")
        elif self.parts.router.halted_at == M.USERAUTH_SUCCESS:
            self.connection._compress()
            self.connection.mux = Mux(transport, self.limits)
            self.parts.supervisor.allow_rekeys()

    def _server_request(self, checker: ServerAuthentication, payload: bytes) -> None:
        event = checker.receive(payload)
        transport = self.parts.transport
        if extensions := checker.take_extensions():
            transport.send_nowait(extensions)
        if isinstance(event, ServiceWanted):
            transport.send_nowait(event.reply)
        elif isinstance(event, Hopeless):
            transport.send_nowait(checker.refuse(counts=event.counts))
        elif isinstance(event, AuthAttempt):
            self._decide(checker, event)

    def _decide(self, checker: ServerAuthentication, attempt: AuthAttempt) -> None:
        transport = self.parts.transport
        question = attempt.method == "publickey" and not attempt.proven
        if not CountingPolicy(self.calls).judge(attempt).accepted:
            transport.send_nowait(checker.refuse(counts=not question))
        elif question:
            transport.send_nowait(checker.key_would_do(attempt))
        else:
            self.connection._granted(LoggedIn(username=attempt.username, methods=(attempt.method,)), checker.grant())
            self.parts.supervisor.allow_rekeys()
