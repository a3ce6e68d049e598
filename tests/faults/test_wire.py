"""Cut, stall and flip at byte k of a connection's life, each direction: typed errors in time, nothing wrong delivered, nobody left
(hardening FLT-10 to FLT-14; generator G3, sampled)."""

from __future__ import annotations

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import trio_ssh
from tests import pairs

LIMITS = trio_ssh.Limits(keepalive_seconds=10, keepalive_misses=1)
"""What a wire says nothing about any more, only the keepalive finds out."""
LOGIN_SECONDS = 60
ANSWER = pairs.pattern(3000)
TYPED = (trio_ssh.SSHError, trio.BrokenResourceError, trio.ClosedResourceError)


@attrs.define
class Outcome:
    answer: bytes | None = None
    error: BaseException | None = None
    server_error: BaseException | None = None
    seconds: float = 0
    in_time: bool = True
    """Did the client need its caller's deadline?"""


async def live(client_wire: pairs.Wire, server_wire: pairs.Wire) -> Outcome:
    """A connection, a rekey, a command; whatever the wires do, both ends are closed afterwards."""
    outcome = Outcome()
    streams = pairs.misbehaving(client_wire, server_wire)
    async with pairs.served(stream=streams[1], limits=LIMITS) as ends:
        started = trio.current_time()
        patience = trio.CancelScope(deadline=started + 500)
        try:
            with patience:
                async with pairs.connecting(streams[0], limits=LIMITS) as client:
                    await client.rekey()
                    outcome.answer = (await client.run_process("echo", input=ANSWER)).stdout
        except TYPED as error:
            outcome.error = error
        outcome.in_time = not patience.cancelled_caught
        outcome.seconds = trio.current_time() - started
        await ends.server_done.wait()
        outcome.server_error = ends.server_cause
    await wait_all_tasks_blocked()
    assert [stream.closed for stream in streams] == [True, True]
    assert outcome.answer in (None, ANSWER)
    assert outcome.answer is not None or outcome.error is not None or not outcome.in_time
    assert outcome.server_error is None or isinstance(outcome.server_error, trio_ssh.SSHError)
    return outcome


async def sizes() -> tuple[int, int]:
    """How many bytes go up and down when nothing goes wrong. (A few more or less in other runs: signatures and padding differ.)"""
    wires = pairs.Wire(), pairs.Wire()
    outcome = await live(*wires)
    assert outcome == Outcome(answer=ANSWER, server_error=outcome.server_error)
    assert isinstance(outcome.server_error, trio_ssh.Disconnected)
    return wires[0].count, wires[1].count


def wires(direction: str, **options: int | bool) -> tuple[pairs.Wire, pairs.Wire]:
    bad = pairs.Wire(**options)  # type: ignore[arg-type]  # ints for ints, a bool for a bool
    return (bad, pairs.Wire()) if direction == "up" else (pairs.Wire(), bad)


DIRECTIONS = pytest.mark.parametrize("direction", ["up", "down"])


def sampled(size: int, dense: int, step: int) -> list[int]:
    """Each of the first bytes, then every so many."""
    return [*range(dense), *range(dense, size - 50, step)]


@DIRECTIONS
async def test_cut_at_byte_k(autojump_clock, direction):
    """FLT-12: the error is there at once, on both sides."""
    up, down = await sizes()
    size = up if direction == "up" else down
    for k in sampled(size, 30, 41):
        outcome = await live(*wires(direction, cut_at=k))
        assert outcome.seconds <= 1, k
        assert outcome.in_time
        if outcome.answer is None or k < size - 300:  # the last bytes are those of saying goodbye
            assert isinstance(outcome.error, (trio_ssh.ConnectionLost, trio_ssh.RemoteProtocolError)), (k, outcome)


@DIRECTIONS
@pytest.mark.parametrize("stuck", [False, True], ids=["swallowed", "stuck"])
async def test_stall_at_byte_k(autojump_clock, direction, stuck):
    """FLT-13: the phase's deadline fires: identification, key exchange, login (the server's; a client's is its caller's), keepalive."""
    up, down = await sizes()
    for k in sampled(up if direction == "up" else down, 5, 61):
        outcome = await live(*wires(direction, stall_at=k, stuck=stuck))
        assert outcome.seconds <= 501, (k, outcome)
        assert isinstance(outcome.server_error, trio_ssh.SSHError), (k, outcome)
        if outcome.in_time:
            assert isinstance(outcome.error, trio_ssh.SSHError), (k, outcome)
            assert outcome.seconds <= LOGIN_SECONDS + 25, (k, outcome)


@DIRECTIONS
async def test_flip_at_byte_k(autojump_clock, direction):
    """FLT-14: never delivered. Before the first keys a flipped bit of padding is nobody's loss; behind them everything counts."""
    up, down = await sizes()
    wrong = 0
    points = sampled(up if direction == "up" else down, 25, 29)
    for k in points:
        outcome = await live(*wires(direction, flip_at=k))
        assert outcome.seconds <= 501, (k, outcome)
        if outcome.error is not None:
            wrong += 1
            assert isinstance(outcome.error, trio_ssh.SSHError), (k, outcome)
        elif outcome.answer is None:
            assert not outcome.in_time
            wrong += 1
    assert wrong >= 0.9 * len(points)


@DIRECTIONS
@pytest.mark.parametrize("cipher", ["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes128-ctr"])
async def test_flips_under_every_kind_of_cipher(autojump_clock, direction, cipher):
    """Behind the login, so that each bit is a sealed one: the length's, the payload's and the tag's."""
    algorithms = trio_ssh.Algorithms(kex=("curve25519-sha256",), ciphers=(cipher,), macs=("hmac-sha2-256",))
    for offset in range(60):
        client_wire, server_wire = pairs.Wire(), pairs.Wire()
        streams = pairs.misbehaving(client_wire, server_wire)
        async with pairs.connected(
            streams=streams, limits=LIMITS, client_algorithms=algorithms, server_algorithms=algorithms, leaves_channels=True
        ) as ends:
            bad = client_wire if direction == "up" else server_wire
            bad.flip_at = bad.count + offset
            with pytest.raises(TYPED):
                assert (await ends.client.run_process("echo", input=b"x" * 100)).stdout != b"x" * 100
            with pytest.raises(TYPED), trio.fail_after(100):
                await ends.client.wait_closed()


@pytest.mark.parametrize("n", range(20))
@pytest.mark.parametrize("what", ["client reads", "client writes", "server reads", "server writes"])
async def test_the_nth_read_or_write_fails(autojump_clock, what, n):
    """FLT-10, as Go's suite does it: the stream's n-th call fails, in the handshake or in the rekeys behind it."""

    class Failing(pairs.MisbehavingStream):
        left = n if what.endswith("reads") else 10**9
        left_to_write = n if what.endswith("writes") else 10**9

        async def receive_some(self, max_bytes=None):
            self.left -= 1
            if self.left < 0:
                await trio.lowlevel.checkpoint()
                raise trio.BrokenResourceError("broken on purpose")
            return await super().receive_some(max_bytes)

        async def send_all(self, data):
            self.left_to_write -= 1
            if self.left_to_write < 0:
                await trio.lowlevel.checkpoint()
                raise trio.BrokenResourceError("broken on purpose")
            await super().send_all(data)

    one, other = trio.testing.memory_stream_pair()
    broken = trio.Event()
    failing = Failing(one, pairs.Wire(), pairs.Wire(), broken)
    streams = (failing, other) if what.startswith("client") else (other, failing)
    limits = trio_ssh.Limits(rekey_packets=2)
    async with pairs.served(stream=streams[1], limits=limits):
        with trio.fail_after(100), pytest.raises(trio_ssh.SSHError):
            async with pairs.connecting(streams[0], limits=limits) as client:
                for _ in range(20):
                    await client.run_process("echo", input=ANSWER)


@DIRECTIONS
async def test_cut_while_keys_change_and_everything_waits(autojump_clock, direction):
    """FLT-10, FLT-11: at each byte of a rekey under load every waiter wakes, with one typed exception each."""
    for k in range(0, 1500, 31):
        client_wire, server_wire = pairs.Wire(), pairs.Wire()
        streams = pairs.misbehaving(client_wire, server_wire)
        errors: list[BaseException] = []

        async def expect_error(function, *arguments, errors=errors):
            with pytest.raises(TYPED) as caught:
                while True:
                    await function(*arguments)
            errors.append(caught.value)

        async with pairs.connected(streams=streams, limits=trio_ssh.Limits(window_bytes=5000), leaves_channels=True) as ends:
            bad = client_wire if direction == "up" else server_wire
            client = ends.client
            async with client.open_process("echo") as process:
                assert process.stderr is not None
                bad.cut_at = bad.count + k
                with trio.fail_after(100):
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(expect_error, client.rekey)
                        nursery.start_soon(expect_error, client.rekey)
                        nursery.start_soon(expect_error, client.ping)
                        nursery.start_soon(expect_error, client.run_process, "echo")
                        nursery.start_soon(expect_error, process.stdin.send_all, bytes(1000))
                        nursery.start_soon(expect_error, process.stderr.receive_some)
                        nursery.start_soon(expect_error, process.wait)
        assert len(errors) == 7
        assert len({id(error) for error in errors}) == 7
