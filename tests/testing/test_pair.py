"""`open_connection_pair` and `open_server`: one line, and nothing left behind."""

from __future__ import annotations

import pytest
import trio
from trio.testing import memory_stream_pair

import trio_ssh
from trio_ssh import testing
from trio_ssh.testing import ConnectionPair, Link, SimulatedNetwork, open_connection_pair


async def shout(session: trio_ssh.ServerSession) -> int:
    async for chunk in session:
        await session.send_all(chunk.upper())
    return 5


async def test_one_line(autojump_clock):
    async with open_connection_pair(shout) as pair:
        result = await pair.client.run_process("x", input=b"hello", check=False)
        assert (result.stdout, result.exit_status) == (b"HELLO", 5)
        assert pair.client.username == testing.USERNAME
        assert pair.client.host_key == testing.HOST_KEY.public_key
    assert isinstance(pair.server_cause, trio_ssh.Disconnected)
    assert pair.server_done.is_set()
    assert pair.channels_left() == (0, 0)
    kinds = [type(event) for event in pair.client_events]
    assert kinds == [
        trio_ssh.ConnectionOpened,
        trio_ssh.KeyExchangeDone,
        *[kind for kind in kinds if kind is trio_ssh.AuthAttempted],
        trio_ssh.ChannelOpened,
        trio_ssh.ChannelClosed,
        trio_ssh.ConnectionEnded,
    ]


@pytest.mark.parametrize(
    "link",
    [
        Link(latency_seconds=0.2),
        Link(bytes_per_second=20_000),
        Link(buffer_bytes=64),
        Link(segment_bytes=1, write_bytes=1),
        Link(buffer_bytes=0),
        Link(latency_seconds=0.05, jitter_seconds=0.2, segment_bytes=range(1, 100), write_bytes=range(1, 100), buffer_bytes=500),
    ],
    ids=repr,
)
async def test_flt_28_over_any_link(autojump_clock, link):
    async with open_connection_pair(shout, network=SimulatedNetwork(3, link=link)) as pair:
        data = b"all sorts of links " * 500
        for _ in range(2):
            assert (await pair.client.run_process("x", input=data, check=False)).stdout == data.upper()
            await pair.client.rekey()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 15, 16, 17, 100, 1499, 1500])
async def test_flt_28_segment_boundaries(autojump_clock, size):
    """The same answers and the same events, wherever segments end."""
    seen = []
    for segment in (None, size):
        async with open_connection_pair(shout, network=SimulatedNetwork(link=Link(segment_bytes=segment))) as pair:
            assert (await pair.client.run_process("x", input=b"a" * 5000, check=False)).stdout == b"A" * 5000
        seen.append([(type(event), getattr(event, "number", None)) for event in (*pair.client_events, *pair.server_events)])
    assert seen[0] == seen[1]


async def test_own_policy_and_credentials_and_limits_of_each_end(autojump_clock):
    async def check(username: str, password: str) -> bool:
        return (username, password) == ("ada", "lovelace")

    limits = (trio_ssh.Limits(window_bytes=1000), trio_ssh.Limits(window_bytes=2000))
    async with open_connection_pair(
        shout, authenticate=trio_ssh.Passwords(check), credentials=[trio_ssh.Password("lovelace")], limits=limits
    ) as pair:
        async with pair.client.open_process("x") as process:
            [channel] = pair.client.statistics().channels
            assert (channel.receive_window, channel.send_window) == (1000, 2000)
            await process.stdin.aclose()
            await process.wait()
    with pytest.raises(trio_ssh.AuthenticationFailed):
        async with open_connection_pair(shout, authenticate=trio_ssh.Passwords(check), credentials=[trio_ssh.Password("x")]):
            pytest.fail("let in")


async def test_services(autojump_clock):
    services = trio_ssh.Services(session=shout, subsystems={"quiet": shout})
    async with open_connection_pair(services) as pair:
        assert (await pair.client.run_process("x", input=b"a", check=False)).stdout == b"A"
        async with pair.client.open_subsystem("quiet") as process:
            await process.stdin.send_all(b"b")
            await process.stdin.aclose()
            assert await process.stdout.receive_some() == b"B"
            await process.wait()
        with pytest.raises(trio_ssh.RequestDenied):
            async with pair.client.open_subsystem("loud"):
                pytest.fail("there is none")
    async with open_connection_pair(trio_ssh.Services(subsystems={"quiet": shout})) as pair:
        with pytest.raises(trio_ssh.RequestDenied):
            await pair.client.run_process("x")


async def test_an_error_of_the_test_comes_out_as_it_is_with_the_seed(autojump_clock):
    with pytest.raises(ZeroDivisionError) as caught:
        async with open_connection_pair(shout, network=SimulatedNetwork(42)):
            raise ZeroDivisionError
    assert caught.value.__notes__ == ["seed=42"]


async def test_a_hang_is_a_failure(autojump_clock):
    with pytest.raises(trio.TooSlowError) as caught:
        async with open_connection_pair(shout, network=SimulatedNetwork(43), hang_seconds=100):
            await trio.sleep_forever()
    assert caught.value.__notes__ == ["seed=43"]
    assert trio.current_time() <= 110


async def test_a_server_that_does_not_end_is_a_failure(autojump_clock):
    async def stubborn(session: trio_ssh.ServerSession) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(5000)

    with pytest.raises(trio.TooSlowError):
        async with open_connection_pair(stubborn, leaves_channels=True) as pair, pair.client.open_process("x"):
            await trio.sleep(1)


async def test_a_channel_that_is_left_is_a_failure(autojump_clock):
    async def for_ever(session: trio_ssh.ServerSession) -> None:
        await trio.sleep_forever()

    async def leave_one_open(pair: ConnectionPair, task_status: trio.TaskStatus[None]) -> None:
        async with pair.client.open_process("x"):
            task_status.started()
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        with pytest.raises(testing.SomethingLeft, match=r"channels left: \(1, 1\)"):
            async with open_connection_pair(for_ever) as pair:
                await nursery.start(leave_one_open, pair)
        nursery.cancel_scope.cancel()
    async with trio.open_nursery() as nursery:
        async with open_connection_pair(for_ever, leaves_channels=True) as pair:
            await nursery.start(leave_one_open, pair)
        nursery.cancel_scope.cancel()


async def test_what_is_under_way_is_waited_for(autojump_clock):
    """The last CLOSE and the last packet of a rekey are still on a link that takes its time."""
    async with open_connection_pair(shout, network=SimulatedNetwork(link=Link(latency_seconds=2))) as pair:
        with trio.move_on_after(5):
            await pair.client.run_process("x", input=b"a")
        with trio.move_on_after(1):
            await pair.client.rekey()


async def test_the_server_is_stopped(autojump_clock):
    async with open_connection_pair(shout, leaves_channels=True) as pair:
        pair.server_scope.cancel()
        with pytest.raises(trio_ssh.Disconnected):
            await pair.client.wait_closed()


async def test_a_server_alone_has_no_client(autojump_clock):
    one, other = memory_stream_pair()
    async with testing.open_server(shout, other) as pair:
        with pytest.raises(trio_ssh.LocalProtocolError, match="open_connection_pair"):
            pair.client.statistics()
        await one.aclose()
    assert isinstance(pair.server_error, trio_ssh.ConnectionLost)


async def test_on_real_time_and_streams_of_ones_own():
    async with open_connection_pair(shout, streams=memory_stream_pair(), algorithms=trio_ssh.Algorithms()) as pair:
        assert (await pair.client.run_process("x", input=b"a", check=False)).stdout == b"A"


def test_simulated_whole_and_alone():
    async def scenario(network: SimulatedNetwork) -> bytes:
        async with open_connection_pair(shout, network=network) as pair:
            return (await pair.client.run_process("x", input=b"a", check=False)).stdout

    assert testing.simulate(scenario) == b"A"
