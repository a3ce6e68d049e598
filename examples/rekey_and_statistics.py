"""Fresh keys in the middle of a transfer, by volume and by hand, and what the connection counts meanwhile.

python examples/rekey_and_statistics.py --mebibytes 64 --rekey-mebibytes 8 build.example
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections import Counter

import trio

import trio_ssh

MIB = 1 << 20
BLOCK = bytes(range(256)) * (64 * 1024 // 256)


async def feed(stdin: trio.abc.SendStream, blocks: int) -> None:
    for _ in range(blocks):
        await stdin.send_all(BLOCK)
    await stdin.aclose()


async def there_and_back(client: trio_ssh.Client, blocks: int) -> bool:
    """Send so many blocks to ``cat`` and see whether they come back unharmed; halfway, ask for fresh keys ourselves."""
    received, digest, asked = 0, hashlib.sha256(), False
    async with client.open_process("cat") as process, trio.open_nursery() as nursery:
        nursery.start_soon(feed, process.stdin, blocks)
        async for chunk in process.stdout:
            digest.update(chunk)
            received += len(chunk)
            if not asked and 2 * received > blocks * len(BLOCK):
                asked = True
                await client.rekey()
    return digest.digest() == hashlib.sha256(BLOCK * blocks).digest()


async def transfer(host: str, port: int, user: str | None, mebibytes: int, rekey_mebibytes: int) -> bool:
    limits = trio_ssh.Limits(rekey_bytes=rekey_mebibytes * MIB)
    async with trio_ssh.connect(host, port, username=user, limits=limits) as client:
        print("key exchange:  ", client.negotiated.kex)
        print("cipher:        ", client.negotiated.cipher_client_to_server)
        print("host key:      ", client.host_key.fingerprint())
        print(f"round trip:     {1000 * await client.ping():.1f} ms")
        unharmed = await there_and_back(client, mebibytes * MIB // len(BLOCK))
        statistics = client.statistics()
    print(f"came back:      {'unharmed' if unharmed else 'DAMAGED'}")
    print(f"sent:           {statistics.bytes_sent / MIB:.1f} MiB in {statistics.packets_sent} packets")
    print(f"received:       {statistics.bytes_received / MIB:.1f} MiB in {statistics.packets_received} packets")
    for cause, times in Counter(statistics.rekeys).most_common():
        print(f"keys renewed:   {times} x because {cause.value}")
    return unharmed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=22)
    parser.add_argument("--user")
    parser.add_argument("--mebibytes", type=int, default=64)
    parser.add_argument("--rekey-mebibytes", type=int, default=8)
    parser.add_argument("host")
    wanted = parser.parse_args()
    try:
        unharmed = trio.run(transfer, wanted.host, wanted.port, wanted.user, wanted.mebibytes, wanted.rekey_mebibytes)
    except trio_ssh.SSHError as error:
        print(f"rekey_and_statistics: {error}", file=sys.stderr)
        return 255
    return 0 if unharmed else 1


if __name__ == "__main__":
    sys.exit(main())
