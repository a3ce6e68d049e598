"""Ends of ours that stand in the middle of a connection without having been there: cheap enough for a million messages.

No cipher is in use and nothing was negotiated; a message is handed to the router as the opener would do it. To be used inside `trio.run`.
"""

from __future__ import annotations

import attrs

from tests import pairs
from tests.fuzz.exchanges import negotiated
from tests.fuzz.machine import Machine
from tests.fuzz.ours import PEER_ERRORS
from tests.fuzz.states import PEERS_CHANNEL, State
from trio_ssh.client.process import PIPE, Process
from trio_ssh.connection.channel import Channel
from trio_ssh.connection.mux import Mux, _Opening
from trio_ssh.connection.tap import TAP
from trio_ssh.protocol.limits import Limits
from trio_ssh.protocol.phases import Phase
from trio_ssh.protocol.role import Role
from trio_ssh.protocol.sealer import Gate
from trio_ssh.server.session import SessionPolicy, SessionRequests
from trio_ssh.wire.codec import encode
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import ServiceAccept

SESSION_ID = bytes(range(32))
POLICY = SessionPolicy.of(("LANG", "LC_*"), True, Limits())


def in_login(role: Role, state: State) -> Machine:
    """In S4, S5 or S6."""
    machine = _unwatched(role, state)
    parts = machine.parts
    parts.transport._held, parts.transport._sealer.gate = None, Gate.OPEN
    parts.phases._enter(Phase.AWAIT_SERVICE if state is State.S4 else Phase.AUTH)
    parts.negotiator.current = negotiated(pairs.QUICK.kex_for(role)[0])
    machine._identification = None
    machine._begin_login(SESSION_ID)
    if role is Role.CLIENT and state is not State.S4:
        machine._auth_message(encode(ServiceAccept("ssh-userauth")))
    return machine


def _unwatched(role: Role, state: State) -> Machine:
    """The tests' monitor would rightly complain of an end that logs in without ever having had keys."""
    token = TAP.set(None)
    try:
        return Machine(role, state, pairs.QUICK)
    finally:
        TAP.reset(token)


def connected(role: Role) -> Machine:
    """Behind the login. Channel 0 is open, 1 waits to be opened, 2 has seen both EOFs, 3 our CLOSE."""
    machine = in_login(role, State.S5)
    connection, parts = machine.connection, machine.parts
    connection.mux = mux = Mux(parts.transport, machine.limits, None, ("session",) if role is Role.SERVER else ())
    mux.on_open = lambda incoming: None  # no decision yet
    parts.phases.authentication_succeeded()
    parts.router.attach(mux)
    for number in range(4):
        _add_channel(mux, role, PEERS_CHANNEL + number)
    return machine


def _add_channel(mux: Mux, role: Role, peers_number: int) -> None:
    channel = mux._table.add("session")
    assert channel is not None
    if channel.number == 1:
        mux._opening[1] = _Opening(channel)
        return
    mux._opened(channel, peers_number, 1 << 20, 32768, by_peer=True)
    _listen(channel, role)
    if channel.number == 2:
        channel.end_output_nowait()
        channel.state.received(M.CHANNEL_EOF)
        channel.receive_eof()
    if channel.number == 3:
        channel.close_nowait()


def _listen(channel: Channel, role: Role) -> None:
    if role is Role.CLIENT:
        Process._on(channel, PIPE)
    else:
        channel.on_request = SessionRequests(POLICY, start=lambda: None)


def tell(machine: Machine, payload: bytes) -> bool:
    """One message for it. False: the connection has ended by it. What no peer may cause comes out."""
    try:
        machine.parts.router(memoryview(payload), 0, len(payload))
        machine._run_tasks()
        _pass_halt(machine)
    except PEER_ERRORS as error:
        machine.end(error)
    machine.take()
    return not machine.ended


def _pass_halt(machine: Machine) -> None:
    router = machine.parts.router
    if router.halted_at == M.USERAUTH_SUCCESS:
        router.attach(machine.mux)
        machine.parts.phases.authentication_succeeded()
    router.halted_at = 0


@attrs.define(eq=False)
class Supply:
    """The same placed end again and again, a new one when the last was ended by a message or has seen `uses` of them."""

    role: Role
    state: State
    uses: int = 200
    _machine: Machine | None = None
    _used: int = 0

    def tell(self, payload: bytes) -> bool:
        machine = self._machine
        if machine is None or self._used >= self.uses:
            machine = self._machine = connected(self.role) if self.state is State.S7 else in_login(self.role, self.state)
            self._used = 0
        self._used += 1
        alive = tell(machine, payload)
        if not alive:
            self._machine = None
        return alive
