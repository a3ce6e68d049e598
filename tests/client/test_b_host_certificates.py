"""Bad certificates of hosts in whole key exchanges: our client goes no further, whatever else it knows of the host (hardening B14, A09)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

import trio_ssh
from tests import pairs
from tests.connection.victims import transcript_of
from tests.keys.raw_certificates import string
from tests.keys.test_certificates_b14 import AUTHORITY, BAD_FOR_HOST, KEY, NOW, RSA_AUTHORITY, raw
from tests.raw_peer import raw_server
from trio_ssh.protocol.key_exchange import start_server
from trio_ssh.wire.codec import decode
from trio_ssh.wire.numbers import MessageNumber as M
from trio_ssh.wire.transport import Disconnect

CERTIFIED = "ssh-ed25519-cert-v01@openssh.com"
SOUND = raw(kind=2, principals=string("host.example"))
HOST = "host.example"


@attrs.frozen
class Shown:
    blob: bytes


@attrs.frozen
class Holder:
    """Shows any blob as its certificate, and signs with the key that is in it."""

    public_key: Shown

    def sign(self, algorithm: str, data: bytes) -> bytes:
        return KEY.sign("ssh-ed25519", data)


@attrs.define(eq=False)
class Outcome:
    """What a client made of a certificate that it was shown."""

    error: BaseException | None = None
    reason: int | None = None
    numbers: list[int] = attrs.field(factory=list)
    offered: tuple[str, ...] = ()

    @property
    def went_on(self) -> bool:
        return M.NEWKEYS in self.numbers or M.SERVICE_REQUEST in self.numbers


async def show(blob: bytes, policy: trio_ssh.HostKeyPolicy) -> Outcome:
    """One key exchange, up to where the client says what it thinks of it."""
    outcome = Outcome()
    peer, stream = raw_server()
    peer.negotiator.algorithms = attrs.evolve(pairs.QUICK, host_keys=(CERTIFIED,))

    async def client() -> None:
        try:
            dialling = trio_ssh.connect(
                HOST, username="ada", stream=stream, host_keys=policy, algorithms=pairs.QUICK, credentials=[trio_ssh.Password("canary")]
            )
            async with dialling:
                pytest.fail("nobody answers")
        except (trio_ssh.SSHError, trio.BrokenResourceError) as error:
            outcome.error = error

    with trio.fail_after(pairs.NEVER):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client)
            await peer.identify()
            ours = await peer.send_kexinit()
            theirs = await peer.expect(M.KEXINIT)
            holder: Any = Holder(Shown(blob))
            negotiated = peer.negotiator.receive(theirs).negotiated
            reply, new = start_server(transcript_of(peer, ours, theirs), negotiated, holder).receive(await peer.expect(30))
            await peer.send(reply)
            first = await peer.receive()
            if first is not None and first[0] == M.DISCONNECT:
                outcome.reason = decode(Disconnect, first).reason_code
            outcome.numbers = list(peer.numbers)
            assert new.negotiated.host_key == CERTIFIED
            await peer.stream.aclose()
    return outcome


def known(path: Path, *lines: str) -> trio_ssh.KnownHosts:
    path.write_text("".join(f"{line}\n" for line in lines))
    return trio_ssh.KnownHosts([path], clock=lambda: NOW)


def authority_lines(hosts: str = HOST) -> list[str]:
    return [f"@cert-authority {hosts} {key.public_key.to_openssh_line()}" for key in (AUTHORITY, RSA_AUTHORITY)]


PLAIN = f"{HOST} {KEY.public_key.to_openssh_line()}"


async def yes(question: object) -> bool:
    return True


@pytest.mark.parametrize("beside", [[], [PLAIN]], ids=["authority only", "its plain key is known, too"])
@pytest.mark.parametrize("name", BAD_FOR_HOST)
async def test_b14_each_bad_certificate_of_a_host(autojump_clock, tmp_path, name, beside):
    """DISCONNECT 9, or 3 where the certificate is none; no NEWKEYS, no service, no password, whatever the policy, and nothing is saved."""
    path = tmp_path / "known_hosts"
    files = known(path, *authority_lines(), *beside)
    before = path.read_bytes()
    for policy in (files, trio_ssh.AcceptNew(files), trio_ssh.AskUser(files, yes)):
        outcome = await show(BAD_FOR_HOST[name], policy)
        assert not outcome.went_on
        assert outcome.reason in (3, 9)
        assert isinstance(outcome.error, trio_ssh.HostKeyError) == (outcome.reason == 9)
        assert isinstance(outcome.error, trio_ssh.HostKeyError | trio_ssh.RemoteProtocolError)
    assert path.read_bytes() == before


async def test_b14_a_sound_certificate_of_a_host(autojump_clock, tmp_path):
    """The same way without a fault goes on, or the tests above would show nothing."""
    outcome = await show(SOUND, known(tmp_path / "known_hosts", *authority_lines()))
    assert (outcome.reason, outcome.went_on) == (None, True)
    wild = raw(kind=2, principals=string("*.example"))
    assert (await show(wild, known(tmp_path / "known_hosts", *authority_lines("*.example")))).went_on


@pytest.mark.parametrize("revoked", ["its key", "its authority"])
async def test_b14_a_revoked_key_or_authority(autojump_clock, tmp_path, revoked):
    key = KEY if revoked == "its key" else AUTHORITY
    lines = [*authority_lines(), PLAIN, f"@revoked * {key.public_key.to_openssh_line()}"]
    outcome = await show(SOUND, known(tmp_path / "known_hosts", *lines))
    assert (outcome.reason, outcome.went_on) == (9, False)
    assert isinstance(outcome.error, trio_ssh.HostKeyRevoked)


async def test_a09_a_certificate_of_a_stranger_is_judged_by_its_plain_key(autojump_clock, tmp_path):
    """An unusable certificate is no way round the policy: where its plain key is not known, or another is, it is refused."""
    stranger = raw(kind=2, principals=string(HOST), authority=trio_ssh.PrivateKey.generate())
    other = f"{HOST} {trio_ssh.PrivateKey.generate().public_key.to_openssh_line()}"
    for lines, goes_on in ((authority_lines(), False), ([*authority_lines(), PLAIN], True), ([*authority_lines(), other], False)):
        outcome = await show(stranger, known(tmp_path / "known_hosts", *lines))
        assert outcome.went_on == goes_on, lines
