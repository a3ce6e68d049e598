"""Our client at OpenSSH's `sshd`: algorithms, transfers and rekeying."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import trio

import trio_ssh
from tests.interop.keyring import KEY_TYPES, Keyring
from tests.interop.matrix import Shared, Suite, each_suite
from tests.interop.openssh import SSHD, running_sshd
from tests.interop.services import KIB, MIB, pattern, sha256
from trio_ssh.keys.signature import DEFAULT_HOST_KEY_ALGORITHMS

OPENSSH = Shared.with_openssh()
pytestmark = pytest.mark.usefixtures("deadline")


@each_suite(OPENSSH)
async def test_every_algorithm(suite: Suite, sshd: SSHD):
    data = pattern(200 * KIB)
    async with sshd.connect(algorithms=suite.algorithms(), limits=trio_ssh.Limits(rekey_bytes=64 * KIB)) as client:
        first = client.negotiated
        assert (await client.run_process("cat", input=data)).stdout == data
        await client.rekey()
        assert (await client.run_process("cat", input=data)).stdout == data
        assert client.negotiated == first
        causes = set(client.statistics().rekeys)
    assert (first.kex, first.host_key) == (suite.kex, suite.host_key)
    assert first.cipher_client_to_server == first.cipher_server_to_client == suite.cipher
    assert first.strict_kex
    assert trio_ssh.RekeyCause.USER in causes
    assert {trio_ssh.RekeyCause.SENT, trio_ssh.RekeyCause.RECEIVED} & causes


@pytest.mark.parametrize("key_type", KEY_TYPES)
async def test_every_user_key(key_type: str, sshd: SSHD, keyring: Keyring):
    """From the file that ssh-keygen made. The log tells which key came in."""
    async with sshd.connect(credentials=[trio_ssh.PrivateKeyFile(keyring.user_key_file(key_type))]) as client:
        done = await client.run_process("echo in")
    assert done.stdout == b"in\n"
    assert keyring.user_keys[key_type].public_key.fingerprint() in sshd.log.read_text()


@pytest.fixture(scope="module")
def sshd_with_sha256_only(keyring: Keyring, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SSHD]:
    lists = {"PubkeyAcceptedAlgorithms": ["rsa-sha2-256"], "HostKeyAlgorithms": ["rsa-sha2-256"]}
    with running_sshd(keyring, tmp_path_factory.mktemp("sshd"), lists) as running:
        yield running


async def test_rsa_by_the_algorithm_that_the_server_names(sshd_with_sha256_only: SSHD, keyring: Keyring):
    """EXT_INFO's server-sig-algs has one of the two: the right one is used at once."""
    attempts: list[trio_ssh.Event] = []
    async with sshd_with_sha256_only.connect(
        credentials=[trio_ssh.PrivateKeyCredential(keyring.user_keys["ssh-rsa"])], observer=attempts.append
    ) as client:
        assert client.negotiated.host_key == "rsa-sha2-256"
    outcomes = [event.outcome for event in attempts if isinstance(event, trio_ssh.AuthAttempted) and event.method == "publickey"]
    assert outcomes == ["granted"]


# --- transfers under rekeying ------------------------------------------------------------------------------------------------------------


def sshd_with_rekey_limit(limit: str, keyring: Keyring, folder: Path) -> Iterator[SSHD]:
    with running_sshd(keyring, folder, {"HostKeyAlgorithms": DEFAULT_HOST_KEY_ALGORITHMS}, [f"RekeyLimit {limit}"]) as running:
        yield running


@pytest.fixture(scope="module")
def sshd_1m(keyring: Keyring, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SSHD]:
    yield from sshd_with_rekey_limit("1M", keyring, tmp_path_factory.mktemp("sshd"))


@pytest.fixture(scope="module")
def sshd_16(keyring: Keyring, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SSHD]:
    yield from sshd_with_rekey_limit("16", keyring, tmp_path_factory.mktemp("sshd"))


TRANSFERS = [
    pytest.param("sshd_1m", None, 10 * MIB, id="theirs-1M"),
    pytest.param("sshd_16", None, MIB, id="theirs-16"),
    pytest.param("sshd", MIB, 10 * MIB, id="ours-1M"),
    pytest.param("sshd", 128 * KIB, 10 * MIB, id="ours-128K"),
    pytest.param("sshd", KIB, MIB, id="ours-1K"),
    pytest.param("sshd", 16, MIB, id="ours-16"),
    pytest.param("sshd_1m", 100 * KIB, 10 * MIB, id="theirs-1M-ours-100K"),
    pytest.param("sshd_16", 16, 256 * KIB, id="both-16"),
]


@pytest.mark.parametrize(("fixture", "ours", "size"), TRANSFERS)
async def test_transfer_under_rekeying(fixture: str, ours: int | None, size: int, request: pytest.FixtureRequest, tmp_path: Path):
    """Up, down, and both at once, on one connection."""
    server: SSHD = request.getfixturevalue(fixture)
    data = pattern(size)
    file = tmp_path / "data"
    file.write_bytes(data)
    async with server.connect(limits=trio_ssh.Limits(rekey_bytes=ours)) as client:
        up = await client.run_process("sha256sum", input=data)
        assert up.stdout.split()[0] == sha256(data)
        down = await client.run_process(f"cat {file}")
        assert sha256(down.stdout) == sha256(data)
        both = await client.run_process("cat", input=data)
        assert sha256(both.stdout) == sha256(data)
        causes = client.statistics().rekeys
    assert len(causes) >= 9
    if ours is None:
        assert set(causes) == {trio_ssh.RekeyCause.PEER}
    if fixture == "sshd":
        assert set(causes) <= {trio_ssh.RekeyCause.SENT, trio_ssh.RekeyCause.RECEIVED}


async def test_rekeys_by_hand_while_many_processes_run(sshd: SSHD):
    size = 512 * KIB
    digests: list[bytes] = []

    async def exchange(client: trio_ssh.Client) -> None:
        digests.append(sha256((await client.run_process("cat", input=pattern(size))).stdout))

    async def rekey_until(client: trio_ssh.Client, done: trio.Event) -> None:
        while not done.is_set():
            await client.rekey()

    async with sshd.connect() as client:
        done = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rekey_until, client, done)
            async with trio.open_nursery() as exchanges:
                for _ in range(8):
                    exchanges.start_soon(exchange, client)
            done.set()
        assert len(client.statistics().rekeys) >= 3
    assert digests == [sha256(pattern(size))] * 8


async def test_a_command_with_input_it_does_not_read(sshd: SSHD):
    """The window stays shut, and the command's end is what counts."""
    async with sshd.connect(limits=trio_ssh.Limits(rekey_bytes=100 * KIB)) as client:
        done = await client.run_process("exec true", input=pattern(4 * MIB))
        assert done.exit_status == 0
        later = [partial(client.run_process, f"exit {status}", check=False) for status in (1, 2)]
        assert [(await run()).exit_status for run in later] == [1, 2]
