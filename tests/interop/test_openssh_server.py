"""Our client at OpenSSH's `sshd`: algorithms, transfers and rekeying."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio

import trio_ssh
from tests.interop.keyring import KEY_TYPES, Keyring
from tests.interop.matrix import Shared, Suite, each_suite
from tests.interop.openssh import SSHD, running_sshd
from tests.interop.services import KIB, MIB, PACKET, pattern, sha256

OPENSSH = Shared.with_openssh()


@each_suite(OPENSSH)
async def test_every_algorithm(suite: Suite, sshd: SSHD):
    data = pattern(200 * KIB)
    async with sshd.connect(algorithms=suite.algorithms(), limits=trio_ssh.Limits(rekey_bytes=64 * KIB)) as client:
        first = client.negotiated
        assert (await client.run_process("cat", input=data)).stdout == data
        await client.rekey()
        assert (await client.run_process("cat", input=data)).stdout == data
        assert client.negotiated == first
        causes = client.statistics().rekeys
    assert (first.kex, first.host_key) == (suite.kex, suite.host_key)
    assert first.cipher_client_to_server == first.cipher_server_to_client == suite.cipher
    assert first.strict_kex
    assert len(causes) >= 3


@pytest.mark.parametrize("key_type", KEY_TYPES)
async def test_every_user_key(key_type: str, sshd: SSHD, keyring: Keyring):
    """From the file that ssh-keygen made. The log tells which key came in."""
    async with sshd.connect(credentials=[trio_ssh.PrivateKeyFile(keyring.user_key_file(key_type))]) as client:
        done = await client.run_process("echo in")
    assert done.stdout == b"in\n"
    assert keyring.user_keys[key_type].public_key.fingerprint() in sshd.log.read_text()


@attrs.frozen
class Signing:
    """A credential of the caller's own making, which signs by one algorithm only."""

    key: trio_ssh.PrivateKey
    algorithm: str
    ask_first: bool = False

    @property
    def algorithms(self) -> Sequence[str]:
        return (self.algorithm,)

    @property
    def key_blob(self) -> bytes:
        return self.key.public_key.blob

    async def sign(self, algorithm: str, data: bytes) -> bytes:
        return self.key.sign(algorithm, data)


@pytest.mark.parametrize("ask_first", [False, True])
@pytest.mark.parametrize("algorithm", ["rsa-sha2-512", "rsa-sha2-256"])
async def test_rsa_by_each_algorithm(algorithm: str, ask_first: bool, sshd: SSHD, keyring: Keyring):
    attempts: list[trio_ssh.Event] = []
    credential = Signing(keyring.user_keys["ssh-rsa"], algorithm, ask_first)
    async with sshd.connect(credentials=[credential], observer=attempts.append):
        pass
    outcomes = [event.outcome for event in attempts if isinstance(event, trio_ssh.AuthAttempted) and event.method == "publickey"]
    assert outcomes[-1] == "granted"
    assert "refused" not in outcomes


# --- transfers under rekeying ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lasting_sshds(lasting_sshd: SSHD, keyring: Keyring, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, SSHD]]:
    """By their RekeyLimit."""
    with contextlib.ExitStack() as stack:
        servers = {"default": lasting_sshd}
        for limit in ("1M", "256K", "128K", "1K", "16"):
            servers[limit] = stack.enter_context(running_sshd(keyring, tmp_path_factory.mktemp("sshd"), extra=[f"RekeyLimit {limit}"]))
        yield servers


@pytest.fixture
def sshds(lasting_sshds: dict[str, SSHD], deadline: None) -> dict[str, SSHD]:
    return lasting_sshds


TRANSFERS = [
    pytest.param("1M", None, 10 * MIB, id="theirs-1M"),
    pytest.param("256K", None, 5 * MIB, id="theirs-256K"),
    pytest.param("128K", None, 5 * MIB, id="theirs-128K"),
    pytest.param("1K", None, MIB, id="theirs-1K"),
    pytest.param("16", None, MIB, id="theirs-16"),
    pytest.param("default", MIB, 10 * MIB, id="ours-1M"),
    pytest.param("default", 256 * KIB, 5 * MIB, id="ours-256K"),
    pytest.param("default", 128 * KIB, 5 * MIB, id="ours-128K"),
    pytest.param("default", KIB, MIB, id="ours-1K"),
    pytest.param("default", 16, MIB, id="ours-16"),
    pytest.param("1M", 100 * KIB, 3 * MIB, id="theirs-1M-ours-100K"),
    pytest.param("16", 16, 256 * KIB, id="both-16"),
]


@pytest.mark.parametrize(("theirs", "ours", "size"), TRANSFERS)
async def test_transfer_under_rekeying(theirs: str, ours: int | None, size: int, sshds: dict[str, SSHD], tmp_path: Path):
    """Up, down, and both at once, on one connection."""
    data = pattern(size)
    file = tmp_path / "data"
    file.write_bytes(data)
    async with sshds[theirs].connect(limits=trio_ssh.Limits(rekey_bytes=ours)) as client:
        up = await client.run_process("sha256sum", input=data)
        assert up.stdout.split()[0] == sha256(data)
        down = await client.run_process(f"cat {file}")
        assert sha256(down.stdout) == sha256(data)
        both = await client.run_process("cat", input=data)
        assert sha256(both.stdout) == sha256(data)
        causes = client.statistics().rekeys
    assert len(causes) >= (4 if ours is None else 2 * size // (ours + PACKET))
    if ours is None:
        assert set(causes) == {trio_ssh.RekeyCause.PEER}
    if theirs == "default":
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
