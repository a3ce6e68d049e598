"""A first packet of the key exchange method that is sent before the peer has said what it can do (RFC 4253 §7)."""

from __future__ import annotations

import attrs
import pytest
import trio

import trio_ssh
from tests import pairs
from tests.raw_peer import PASSWORDS, raw_client
from trio_ssh.protocol.role import Role
from trio_ssh.wire.codec import decode
from trio_ssh.wire.transport import KexInit

GUESSING = trio_ssh.Algorithms(kex=("curve25519-sha256", "ecdh-sha2-nistp256"), guess_kex=True)


def kex_packets(ends: pairs.Ends) -> int:
    return ends.client.statistics().packets_sent


@pytest.mark.parametrize(
    "server",
    [("curve25519-sha256", "ecdh-sha2-nistp256"), ("ecdh-sha2-nistp256", "curve25519-sha256"), ("ecdh-sha2-nistp256",)],
    ids=["right", "wrong, same method", "wrong, other method"],
)
@pytest.mark.parametrize("strict", [True, False], ids=["strict", "not strict"])
async def test_sm_051_sm_052_our_guess(autojump_clock, server, strict):
    """Right: a packet and a round trip less. Wrong: the packet is skipped, also when the same method is chosen in the end."""
    algorithms = trio_ssh.Algorithms(kex=server, require_strict_kex=strict)
    async with pairs.connected(client_algorithms=GUESSING, server_algorithms=algorithms) as ends:
        assert ends.client.negotiated.kex == ("curve25519-sha256" if "curve25519-sha256" in server else server[0])
        await pairs.check_works(ends.client)
        await ends.client.rekey()
        await pairs.check_works(ends.client)
        guessed = kex_packets(ends)
    plain = attrs.evolve(GUESSING, guess_kex=False)
    async with pairs.connected(client_algorithms=plain, server_algorithms=algorithms) as ends:
        await pairs.check_works(ends.client)
        await ends.client.rekey()
        await pairs.check_works(ends.client)
        assert guessed - kex_packets(ends) == (0 if server[0] == "curve25519-sha256" else 1)


async def test_a_right_guess_saves_a_round_trip():
    """Over a link of a second each way, on the mock clock: the login takes two seconds less."""
    took = {}
    for guess in (False, True):
        clock = trio.testing.MockClock(autojump_threshold=0)

        async def log_in() -> float:
            network = trio_ssh.testing.SimulatedNetwork(link=trio_ssh.testing.Link(latency_seconds=1))
            algorithms = attrs.evolve(GUESSING, guess_kex=guess)  # noqa: B023
            async with pairs.connected(client_algorithms=algorithms, server_algorithms=algorithms, streams=network.stream_pair()):
                return trio.current_time()

        began = clock.current_time()
        took[guess] = await _on(clock, log_in) - began
    assert took[False] - took[True] == pytest.approx(2)


async def _on(clock, function):
    return await trio.to_thread.run_sync(lambda: trio.run(function, clock=clock))


async def test_a_guess_is_marked_in_the_first_kexinit_only(autojump_clock):
    raw, stream = raw_client()
    async with pairs.served(stream=stream, algorithms=GUESSING, authenticate=PASSWORDS):
        await raw.identify()
        ours = await raw.send_kexinit()
        assert not decode(KexInit, await raw.wait_for(20)).first_kex_packet_follows  # a server has nothing to guess
        assert ours
        await raw.stream.aclose()
    assert GUESSING.kexinit(Role.CLIENT, bytes(16), first=True).first_kex_packet_follows
    assert not GUESSING.kexinit(Role.CLIENT, bytes(16), first=False).first_kex_packet_follows


@pytest.mark.parametrize("first", ["diffie-hellman-group-exchange-sha256", "diffie-hellman-group16-sha512"])
def test_what_is_not_guessed(first):
    """A group exchange has no share to send yet, and slow arithmetic is not done for nothing."""
    algorithms = trio_ssh.Algorithms(kex=(first, "curve25519-sha256"), guess_kex=True)
    assert algorithms.guess(Role.CLIENT) is None
    assert not algorithms.kexinit(Role.CLIENT, bytes(16), first=True).first_kex_packet_follows
