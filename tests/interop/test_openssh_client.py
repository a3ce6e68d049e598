"""OpenSSH's `ssh` at our server: algorithms, transfers and rekeying."""

from __future__ import annotations

import re

import pytest

import trio_ssh
from tests.interop.keyring import KEY_TYPES, Keyring, key_type_of
from tests.interop.matrix import Shared, Suite, each_suite, options_of
from tests.interop.openssh import SSH
from tests.interop.services import KIB, MIB, PACKET, StartServer, pattern, sha256

OPENSSH = Shared.with_openssh()


@each_suite(OPENSSH)
async def test_every_algorithm(suite: Suite, keyring: Keyring, serve_ours: StartServer):
    server = await serve_ours()
    ssh = SSH(keyring, server.port)
    data = pattern(200 * KIB)
    done = await ssh.run("echo", input=data, options={**options_of(suite), "RekeyLimit": "64K"})
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == data
    assert trio_ssh.RekeyCause.PEER in server.rekeys()
    [negotiated, *again] = [event.negotiated for event in server.all_of(trio_ssh.KeyExchangeDone)]
    assert (negotiated.kex, negotiated.host_key) == (suite.kex, suite.host_key)
    assert negotiated.cipher_client_to_server == negotiated.cipher_server_to_client == suite.cipher
    assert negotiated.mac_client_to_server == negotiated.mac_server_to_client
    assert negotiated.mac_client_to_server in (suite.mac, "")
    assert negotiated.strict_kex
    assert all(later == negotiated for later in again)


@pytest.mark.parametrize("algorithm", ["ssh-ed25519", *KEY_TYPES[1:-1], "rsa-sha2-512", "rsa-sha2-256"])
async def test_every_user_key(algorithm: str, keyring: Keyring, serve_ours: StartServer):
    server = await serve_ours()
    done = await SSH(keyring, server.port).run("exit 0", options={"PubkeyAcceptedAlgorithms": algorithm}, key_type=key_type_of(algorithm))
    assert (done.returncode, done.stdout) == (0, b"to stdout\n")
    assert [event.method for event in server.all_of(trio_ssh.AuthAttempted) if event.outcome == "granted"] == ["publickey"]


async def test_exit_status_and_both_outputs(keyring: Keyring, serve_ours: StartServer):
    server = await serve_ours()
    done = await SSH(keyring, server.port).run("exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"to stdout\n", b"to stderr\n")


OPENSSH_DEFAULT = "default none"
TRANSFERS = [
    pytest.param("1M", None, 10 * MIB, id="theirs-1M"),
    pytest.param("256K", None, 5 * MIB, id="theirs-256K"),
    pytest.param("128K", None, 5 * MIB, id="theirs-128K"),
    pytest.param("1K", None, MIB, id="theirs-1K"),
    pytest.param("16", None, MIB, id="theirs-16"),
    pytest.param(OPENSSH_DEFAULT, MIB, 10 * MIB, id="ours-1M"),
    pytest.param(OPENSSH_DEFAULT, 256 * KIB, 5 * MIB, id="ours-256K"),
    pytest.param(OPENSSH_DEFAULT, 128 * KIB, 5 * MIB, id="ours-128K"),
    pytest.param(OPENSSH_DEFAULT, KIB, MIB, id="ours-1K"),
    pytest.param(OPENSSH_DEFAULT, 16, MIB, id="ours-16"),
    pytest.param("100K", 100 * KIB, 3 * MIB, id="both-100K"),
    pytest.param("16", 16, 256 * KIB, id="both-16"),
]


@pytest.mark.parametrize("both_ways", [False, True], ids=["up-then-down", "at-once"])
@pytest.mark.parametrize(("theirs", "ours", "size"), TRANSFERS)
async def test_transfer_under_rekeying(
    theirs: str, ours: int | None, size: int, both_ways: bool, keyring: Keyring, serve_ours: StartServer
):
    server = await serve_ours(limits=trio_ssh.Limits(rekey_bytes=ours))
    ssh = SSH(keyring, server.port)
    data, options = pattern(size), {"RekeyLimit": theirs}
    if both_ways:
        done = await ssh.run(f"exchange {size}", input=data, options=options)
        assert (done.returncode, sha256(done.stdout), done.stderr) == (0, sha256(data), sha256(data))
    else:
        up = await ssh.run("sha256", input=data, options=options)
        assert (up.returncode, up.stdout, up.stderr) == (0, sha256(data), b"")
        down = await ssh.run(f"source {size}", options=options)
        assert (down.returncode, sha256(down.stdout), down.stderr) == (0, sha256(data), b"")
    causes = set(server.rekeys())
    assert len(server.rekeys()) >= (3 if ours is None else size // (ours + PACKET))
    if ours is None:
        assert causes == {trio_ssh.RekeyCause.PEER}
    if theirs == OPENSSH_DEFAULT:
        assert causes <= {trio_ssh.RekeyCause.SENT, trio_ssh.RekeyCause.RECEIVED}


async def test_each_side_counts_what_the_other_sees(keyring: Keyring, serve_ours: StartServer):
    """`ssh -v` writes down each set of keys it takes into use; the session goes on through all of them."""
    server = await serve_ours()
    done = await SSH(keyring, server.port).run("echo", input=pattern(MIB), options={"RekeyLimit": "128K", "LogLevel": "DEBUG1"})
    assert done.returncode == 0
    taken = len(re.findall(rb"SSH2_MSG_NEWKEYS received", done.stderr))
    assert taken == len(server.rekeys()) + 1
