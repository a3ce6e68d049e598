"""One end of ours for G1 and its kin: a `Connection` with a policy that counts its questions, before it runs or instead of running it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import trio

import trio_ssh
from tests import pairs
from tests.fuzz.methods import algorithms_of
from tests.fuzz.states import CANARY, KEY_ALGORITHM, USER, Calls, State
from trio_ssh.connection.connection import Connection
from trio_ssh.connection.identity_prover import ClientPlan
from trio_ssh.connection.incoming import IncomingChannel
from trio_ssh.connection.offers import Offer, PasswordOffer, SessionBinding
from trio_ssh.connection.sides import ClientSide, ServerSide
from trio_ssh.errors import AuthenticationFailed, ConnectionLost, NegotiationError, RemoteProtocolError
from trio_ssh.protocol.auth_attempt import AuthAttempt
from trio_ssh.protocol.negotiation import Algorithms
from trio_ssh.protocol.role import Role

PEER_ERRORS = (RemoteProtocolError, NegotiationError, ConnectionLost, AuthenticationFailed)
"""What bytes of a peer may raise. `LocalProtocolError` is not among them: that would be a mistake of ours."""


@attrs.frozen
class CountingPolicy:
    """Lets in who knows the canary, and would take the tests' user key."""

    calls: Calls
    methods: Sequence[str] = ("publickey", "password")

    async def __call__(self, attempt: AuthAttempt, /) -> trio_ssh.Verdict:
        return self.judge(attempt)

    def judge(self, attempt: AuthAttempt) -> trio_ssh.Verdict:
        self.calls.policy += 1
        accepted = attempt.password == CANARY or attempt.public_key == pairs.USER_KEY.public_key
        return trio_ssh.Verdict(accepted=accepted)


@attrs.frozen
class KeyToAskAbout:
    """A key whose signature is dear, so that the server is asked about it first."""

    algorithms: Sequence[str] = (KEY_ALGORITHM,)
    key_blob: bytes = pairs.USER_KEY.public_key.blob
    ask_first: bool = True

    async def sign(self, algorithm: str, data: bytes) -> bytes:
        return self.sign_now(algorithm, data)

    def sign_now(self, algorithm: str, data: bytes) -> bytes:
        return pairs.USER_KEY.sign(algorithm, data)


async def _canary() -> str:
    return CANARY


def offer_for(state: State) -> Offer:
    return KeyToAskAbout() if state is State.S6 else PasswordOffer(_canary)


def connection_of(
    role: Role, state: State, stream: trio.abc.Stream, algorithms: Algorithms, limits: trio_ssh.Limits, calls: Calls
) -> Connection:
    """`state` says what a client tries to log in with."""

    async def trust(key: trio_ssh.PublicKey | trio_ssh.Certificate) -> None:
        calls.trust += 1
        assert key == pairs.HOST_KEY.public_key

    async def offers(session: SessionBinding) -> Sequence[Offer]:
        return [offer_for(state)]

    side: ClientSide | ServerSide
    if role is Role.CLIENT:
        side = ClientSide(plan=ClientPlan(USER, offers), trust=trust)
    else:
        side = ServerSide(host_keys=(pairs.HOST_KEY,), policy=CountingPolicy(calls), on_open=_accepting(calls))
    return Connection(stream, side, algorithms_of(role, algorithms), limits, "fuzzed")


def _accepting(calls: Calls) -> Callable[[IncomingChannel], None]:
    def on_open(incoming: IncomingChannel) -> None:
        calls.open += 1
        incoming.accept()

    return on_open
