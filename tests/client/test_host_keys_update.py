"""UpdateHostKeys, our client's side: what a server says about its keys is believed when it has proven it, and never in the user's way."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import memory_stream_pair

import trio_ssh
from tests import pairs
from trio_ssh import AcceptNew, AskUser, KnownHosts, Limits, PrivateKey, PublicKey
from trio_ssh.client.host_key_changes import HostKeyChanges
from trio_ssh.client.host_keys import HostKeyUpdatePolicy
from trio_ssh.keys.known_hosts import hash_name
from trio_ssh.testing import HOST_KEY, RawPeer
from trio_ssh.wire.codec import decode, encode
from trio_ssh.wire.connection import (
    HOSTKEYS,
    HOSTKEYS_PROVE,
    GlobalRequest,
    HostKeyProofData,
    RequestFailure,
    RequestSuccess,
    read_strings,
    write_strings,
)
from trio_ssh.wire.numbers import MessageNumber as M

HOST = "server.test"
MORE = [PrivateKey.generate("ecdsa"), PrivateKey.generate("rsa", 2048)]
OLD = PrivateKey.generate()
ALL = [HOST_KEY, *MORE]


def line(key: PrivateKey, hosts: str = HOST, marker: str = "") -> str:
    return f"{marker}{hosts} {key.public_key.to_openssh_line()}"


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "known_hosts"
    path.write_text(line(HOST_KEY) + "\n")
    return path


@attrs.define(eq=False)
class Watched:
    """A policy whose word about an update can be waited for."""

    policy: HostKeyUpdatePolicy
    planned: list[HostKeyChanges | None] = attrs.field(factory=list)
    has_planned: trio.Event = attrs.field(factory=trio.Event)
    has_updated: trio.Event = attrs.field(factory=trio.Event)

    async def check(self, host: str, port: int, key: PublicKey):
        return await self.policy.check(host, port, key)

    async def key_types(self, host: str, port: int) -> Sequence[str]:
        return await self.policy.key_types(host, port)

    @property
    def learns_keys(self) -> bool:
        return self.policy.learns_keys

    async def plan_update(self, host: str, port: int, key: PublicKey, announced: Sequence[PublicKey]) -> HostKeyChanges | None:
        self.planned.append(await self.policy.plan_update(host, port, key, announced))
        self.has_planned.set()
        return self.planned[-1]

    async def update(self, changes: HostKeyChanges) -> None:
        await self.policy.update(changes)
        self.has_updated.set()


def learning(file: Path, **options) -> Watched:
    return Watched(KnownHosts([file], **{"update_keys": True, **options}))


@asynccontextmanager
async def at_raw_server(policy: trio_ssh.HostKeyPolicy, *, limits: Limits | None = None, algorithms=pairs.QUICK):
    """A client of ours that is logged in, and the server, which the test plays from there on."""
    client_stream, server_stream = memory_stream_pair()
    raw = RawPeer(server_stream, trio_ssh.Role.SERVER)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(raw.log_in)
            async with pairs.connecting(client_stream, host_keys=policy, limits=limits, algorithms=algorithms) as client:
                yield raw, client
            nursery.cancel_scope.cancel()


async def announce(raw: RawPeer, keys: Sequence[PrivateKey], behind: bytes = b"") -> None:
    await raw.send(GlobalRequest(HOSTKEYS, False, write_strings(key.public_key.blob for key in keys) + behind))


async def asked_for(raw: RawPeer) -> list[PublicKey]:
    request = decode(GlobalRequest, await raw.expect(M.GLOBAL_REQUEST))
    assert (request.request_name, request.want_reply) == (HOSTKEYS_PROVE, True)
    return [PublicKey.from_blob(blob) for blob in read_strings(request.request_fields, 100)]


def proof(key: PrivateKey, session_id: bytes, algorithm: str | None = None, name: str = HOSTKEYS_PROVE) -> bytes:
    chosen = algorithm or key.public_key.signature_algorithms[0]
    return key.sign(chosen, encode(HostKeyProofData(name, session_id, key.public_key.blob)))


async def check_alive(raw: RawPeer, client: trio_ssh.Client) -> None:
    """The connection is as good as before, and the client asks for nothing else."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.ping)
        request = decode(GlobalRequest, await raw.expect(M.GLOBAL_REQUEST))
        assert request.request_name == "keepalive@openssh.com"
        await raw.send(RequestFailure())


async def test_c18_new_keys_are_added_once_they_are_proven(file):
    policy = learning(file)
    async with at_raw_server(policy) as (raw, client):
        await announce(raw, ALL)
        assert await asked_for(raw) == [key.public_key for key in MORE]
        assert file.read_text() == line(HOST_KEY) + "\n"
        await raw.send(RequestSuccess(write_strings(proof(key, raw.session_id) for key in MORE)))
        await policy.has_updated.wait()
        await check_alive(raw, client)
    assert file.read_text().splitlines() == [line(key) for key in ALL]


async def test_keys_that_are_gone_are_removed_without_a_question(file):
    """Comments, other hosts and lines that we cannot read stay, and so does a key of a type that we do not know."""
    lines = [
        "# mine",
        line(OLD),
        line(OLD, "other"),
        "bad line",
        line(HOST_KEY),
        f"{HOST} ssh-dss AAAAB3NzaC1kc3M=",
        line(OLD, hash_name(HOST)),
    ]
    file.write_text("\n".join(lines))
    policy = learning(file)
    async with at_raw_server(policy) as (raw, client):
        await announce(raw, [HOST_KEY])
        await policy.has_updated.wait()
        await check_alive(raw, client)
    assert file.read_text().splitlines() == [lines[0], *lines[2:6]]


async def test_pain_21_c18_a_rotation_of_keys_goes_unnoticed(file):
    """The server announces its next key; later it has only that one, and no connection was refused."""
    policy = learning(file)
    async with at_raw_server(policy) as (raw, _client):
        await announce(raw, [HOST_KEY, OLD])
        await asked_for(raw)
        await raw.send(RequestSuccess(write_strings([proof(OLD, raw.session_id)])))
        await policy.has_updated.wait()
    await policy.check(HOST, 22, OLD.public_key)


LIES = {
    "a refusal": lambda session_id: RequestFailure(),
    "nothing": lambda session_id: RequestSuccess(b""),
    "one of two": lambda session_id: RequestSuccess(write_strings([proof(MORE[0], session_id)])),
    "a third": lambda session_id: RequestSuccess(write_strings(proof(key, session_id) for key in (*MORE, OLD))),
    "the other order": lambda session_id: RequestSuccess(write_strings(proof(key, session_id) for key in reversed(MORE))),
    "another key's": lambda session_id: RequestSuccess(write_strings([proof(OLD, session_id), proof(OLD, session_id)])),
    "of another session": lambda session_id: RequestSuccess(write_strings(proof(key, session_id[::-1]) for key in MORE)),
    "of another purpose": lambda session_id: RequestSuccess(write_strings(proof(key, session_id, name="x@test") for key in MORE)),
    "cut off": lambda session_id: RequestSuccess(write_strings(proof(key, session_id) for key in MORE)[:-1]),
    "no signature": lambda session_id: RequestSuccess(write_strings([b"", b"\xff"])),
    "bytes behind": lambda session_id: RequestSuccess(write_strings(proof(key, session_id) for key in MORE) + b"\0"),
    "bytes behind each": lambda session_id: RequestSuccess(write_strings(proof(key, session_id) + b"\0" for key in MORE)),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=list(LIES))
async def test_c18_an_unproved_key_is_never_stored(file, lie):
    policy = learning(file)
    async with at_raw_server(policy) as (raw, client):
        await announce(raw, ALL)
        await asked_for(raw)
        await raw.send(lie(raw.session_id))
        await check_alive(raw, client)
        await check_alive(raw, client)
    assert not policy.has_updated.is_set()
    assert file.read_text() == line(HOST_KEY) + "\n"


BAD_PROOFS = {
    "another key's": lambda session_id: proof(OLD, session_id),
    "by SHA-1": lambda session_id: proof(MORE[1], session_id, "ssh-rsa"),
    "none": lambda session_id: b"",
}


@pytest.mark.parametrize("bad", BAD_PROOFS.values(), ids=list(BAD_PROOFS))
async def test_c18_one_bad_proof_does_not_spoil_the_good_ones(file, bad, caplog):
    policy = learning(file)
    with caplog.at_level("INFO", "trio_ssh.known_hosts"):
        async with at_raw_server(policy) as (raw, client):
            await announce(raw, ALL)
            await asked_for(raw)
            await raw.send(RequestSuccess(write_strings([proof(MORE[0], raw.session_id), bad(raw.session_id)])))
            await policy.has_updated.wait()
            await check_alive(raw, client)
    assert file.read_text().splitlines() == [line(HOST_KEY), line(MORE[0])]
    assert f"has not proven that it has the host key {MORE[1].public_key.fingerprint()}" in caplog.text


@pytest.mark.parametrize(("algorithm", "passes"), [("rsa-sha2-512", True), ("rsa-sha2-256", True), ("ssh-rsa", False)])
async def test_b13_by_what_an_rsa_key_may_be_proven(file, algorithm, passes):
    policy = learning(file)
    async with at_raw_server(policy) as (raw, client):
        await announce(raw, [HOST_KEY, MORE[1]])
        await asked_for(raw)
        await raw.send(RequestSuccess(write_strings([proof(MORE[1], raw.session_id, algorithm)])))
        await check_alive(raw, client)
        if passes:
            await policy.has_updated.wait()
    assert policy.has_updated.is_set() is passes


BAD_ANNOUNCEMENTS = {
    "one key twice": write_strings([HOST_KEY.public_key.blob, MORE[0].public_key.blob, MORE[0].public_key.blob]),
    "cut off": write_strings([HOST_KEY.public_key.blob, MORE[0].public_key.blob])[:-1],
    "a length only": b"\xff\xff\xff\xff",
    "bytes behind": write_strings([HOST_KEY.public_key.blob, MORE[0].public_key.blob]) + b"\0",
    "more than 32": write_strings([HOST_KEY.public_key.blob, *(b"key %d" % number for number in range(32))]),
    "ten thousand": write_strings([HOST_KEY.public_key.blob, *(b"key %d" % number for number in range(10_000))]),
    "not the key in use": write_strings([MORE[0].public_key.blob]),
    "empty": b"",
}


@pytest.mark.parametrize("fields", BAD_ANNOUNCEMENTS.values(), ids=list(BAD_ANNOUNCEMENTS))
async def test_c18_an_announcement_that_makes_no_sense_changes_nothing(file, fields):
    """Nobody is asked, nothing ends."""
    file.write_text(f"{line(HOST_KEY)}\n{line(OLD)}\n")
    policy = learning(file)
    async with at_raw_server(policy) as (raw, client):
        await raw.send(GlobalRequest(HOSTKEYS, False, fields))
        await check_alive(raw, client)
    assert not any(policy.planned)
    assert file.read_text() == f"{line(HOST_KEY)}\n{line(OLD)}\n"


async def test_c18_the_limit_of_an_announcement(file):
    for limit, asks in ((3, True), (2, False)):
        policy = learning(file)
        async with at_raw_server(policy, limits=Limits(hostkeys_update=limit)) as (raw, client):
            await announce(raw, ALL)
            if asks:
                assert len(await asked_for(raw)) == 2
                await raw.send(RequestFailure())
            await check_alive(raw, client)


async def test_one_announcement_is_heard_on_a_connection(file):
    policy = learning(file)
    async with at_raw_server(policy) as (raw, client):
        await announce(raw, [HOST_KEY])
        await policy.has_planned.wait()
        await announce(raw, ALL)
        await check_alive(raw, client)
    assert policy.planned == [None]


async def test_types_that_we_do_not_know_or_use_are_left_out(file):
    unknown = b"\0\0\0\x0cssh-unknown1" + bytes(40)
    algorithms = attrs.evolve(pairs.QUICK, host_keys=("ssh-ed25519", "ecdsa-sha2-nistp256"))
    policy = learning(file)
    async with at_raw_server(policy, algorithms=algorithms) as (raw, _client):
        await announce(raw, ALL, behind=write_strings([unknown]))
        assert await asked_for(raw) == [MORE[0].public_key]


# --- when the file is ours to change -----------------------------------------------------------------------------------------------------


NOT_OURS = {
    "a wildcard": [line(HOST_KEY, "*.test")],
    "a wildcard beside": [line(HOST_KEY), line(OLD, "*")],
    "a list of names": [line(HOST_KEY, f"{HOST},a,b")],
    "an authority": [line(HOST_KEY), line(OLD, HOST, "@cert-authority ")],
    "a revoked key": [line(HOST_KEY), line(OLD, HOST, "@revoked ")],
}


@pytest.mark.parametrize("lines", NOT_OURS.values(), ids=list(NOT_OURS))
async def test_c18_hosts_on_other_lines_than_ssh_writes_are_left_alone(file, lines):
    file.write_text("".join(f"{text}\n" for text in lines))
    policy = learning(file)
    async with at_raw_server(policy) as (raw, client):
        await announce(raw, ALL)
        await policy.has_planned.wait()
        await check_alive(raw, client)
    assert policy.planned == [None]


async def test_c18_a_key_known_from_another_file_vouches_for_nothing(file, tmp_path):
    system = tmp_path / "system"
    file.rename(system)
    policy = Watched(KnownHosts([file, system], update_keys=True))
    async with at_raw_server(policy) as (raw, client):
        await announce(raw, ALL)
        await policy.has_planned.wait()
        await check_alive(raw, client)
    assert policy.planned == [None]


async def test_keys_of_other_files_are_known_and_revoked_ones_are_not_added(file, tmp_path):
    system = tmp_path / "system"
    system.write_text(f"{line(MORE[0])}\n{line(MORE[1], '*', '@revoked ')}\n")
    policy = Watched(KnownHosts([file, system], update_keys=True))
    async with at_raw_server(policy) as (raw, client):
        await announce(raw, ALL)
        await policy.has_planned.wait()
        await check_alive(raw, client)
    assert policy.planned == [None]


@pytest.mark.parametrize("policy", ["strict", "pinned", "off", "changed"])
async def test_c18_off_by_default_and_where_nothing_is_checked(file, policy):
    """Then nothing is asked for, whatever the server says."""
    file.write_text(line(OLD if policy == "changed" else HOST_KEY) + "\n")
    policies: dict[str, trio_ssh.HostKeyPolicy] = {
        "strict": KnownHosts([file]),
        "pinned": trio_ssh.PinnedKeys([HOST_KEY.public_key]),
        "off": trio_ssh.TrustAnyHostKey.DANGEROUS,
        "changed": trio_ssh.AcceptChanged(KnownHosts([file], update_keys=True)),
    }
    before = file.read_text()
    async with at_raw_server(policies[policy]) as (raw, client):
        await announce(raw, ALL)
        await check_alive(raw, client)
    assert file.read_text() == before


async def test_trust_on_first_use_learns_as_well(file):
    async def accept(question: trio_ssh.HostKeyQuestion) -> bool:
        return True

    for make in (AcceptNew, lambda files: AskUser(files, accept)):
        file.write_text("")
        policy = Watched(make(KnownHosts([file], update_keys=True)))
        async with at_raw_server(policy) as (raw, _client):
            await announce(raw, [HOST_KEY, OLD])
            await asked_for(raw)
            await raw.send(RequestSuccess(write_strings([proof(OLD, raw.session_id)])))
            await policy.has_updated.wait()
        assert file.read_text().splitlines() == [line(HOST_KEY), line(OLD)]


# --- the user's word ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [True, False])
async def test_the_user_is_asked_about_what_is_proven(file, answer):
    asked: list[HostKeyChanges] = []
    file.write_text(f"{line(HOST_KEY)}\n{line(OLD)}\n")

    async def ask(changes: HostKeyChanges) -> bool:
        asked.append(changes)
        return answer

    policy = learning(file, update_keys=ask)
    async with at_raw_server(policy) as (raw, client):
        await announce(raw, ALL)
        await asked_for(raw)
        assert not asked
        await raw.send(RequestSuccess(write_strings(proof(key, raw.session_id) for key in MORE)))
        await policy.has_updated.wait()
        await check_alive(raw, client)
    assert asked == [HostKeyChanges(HOST, 22, str(file), tuple(key.public_key for key in MORE), (OLD.public_key,))]
    assert file.read_text().splitlines() == ([line(key) for key in ALL] if answer else [line(HOST_KEY), line(OLD)])


async def test_leaving_does_not_wait_for_the_user(file, autojump_clock):
    asking = trio.Event()

    async def ask(changes: HostKeyChanges) -> bool:
        asking.set()
        await trio.sleep_forever()
        return True

    file.write_text(f"{line(HOST_KEY)}\n{line(OLD)}\n")
    async with at_raw_server(learning(file, update_keys=ask)) as (raw, client):
        await announce(raw, [HOST_KEY])
        await asking.wait()
        await check_alive(raw, client)
        before = trio.current_time()
    assert trio.current_time() - before < 10
    assert file.read_text() == f"{line(HOST_KEY)}\n{line(OLD)}\n"


@pytest.mark.parametrize("failure", [ValueError("a mistake of the policy's"), trio_ssh.KeyFileError("the disk is full")])
async def test_what_goes_wrong_is_written_to_the_log_and_ends_nothing(file, caplog, failure):
    async def ask(changes: HostKeyChanges) -> bool:
        raise failure

    file.write_text(f"{line(HOST_KEY)}\n{line(OLD)}\n")
    with caplog.at_level("INFO", "trio_ssh.known_hosts"):
        async with at_raw_server(learning(file, update_keys=ask)) as (raw, client):
            await announce(raw, [HOST_KEY])
            await check_alive(raw, client)
    [record] = [record for record in caplog.records if "not updated" in record.getMessage()]
    assert record.levelname == ("INFO" if isinstance(failure, trio_ssh.SSHError) else "ERROR")
    assert str(failure) in caplog.text


async def test_a_server_that_wants_an_answer_gets_one_and_others_are_refused(file):
    async with at_raw_server(learning(file)) as (raw, _client):
        await raw.send(GlobalRequest(HOSTKEYS, True, write_strings([HOST_KEY.public_key.blob])))
        await raw.expect(M.REQUEST_SUCCESS)
        await raw.send(GlobalRequest(HOSTKEYS_PROVE, True, write_strings([HOST_KEY.public_key.blob])))
        await raw.expect(M.REQUEST_FAILURE)


async def test_the_other_keys_wait_for_the_login(file):
    """An announcement before the login breaks the protocol."""
    client_stream, server_stream = memory_stream_pair()
    raw = RawPeer(server_stream, trio_ssh.Role.SERVER)

    async def play() -> None:
        await raw.handshake()
        await announce(raw, ALL)
        await raw.drain()

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(play)
            with pytest.raises(trio_ssh.RemoteProtocolError):
                async with pairs.connecting(client_stream, host_keys=learning(file)):
                    pass
            nursery.cancel_scope.cancel()
