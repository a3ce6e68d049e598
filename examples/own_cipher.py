"""A cipher of your own: a server and a client that both know AES-256-GCM-SIV, for which SSH has no name, talk over it.

AES-GCM-SIV (RFC 8452) stays safe where a nonce comes twice. A cipher with a name of its own goes to whoever registers the same.

python examples/own_cipher.py
"""

from __future__ import annotations

import sys
from functools import partial

import trio
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

import trio_ssh
from trio_ssh import algorithms

NAME = "aes256-gcm-siv@example.com"  # of your own domain: so it means nothing else to anybody
CIPHER = algorithms.counter_nonce_aead(NAME, key_bytes=32, cipher=AESGCMSIV, byte_ceiling=64 << 30)


async def shout(session: trio_ssh.ServerSession) -> int:
    """Sends back what comes, in capitals."""
    async for chunk in session:
        await session.send_all(chunk.upper())
    return 0


async def serve_and_connect(words: str) -> None:
    wanted = trio_ssh.Algorithms(ciphers=[NAME])
    host_key, user_key = trio_ssh.PrivateKey.generate(), trio_ssh.PrivateKey.generate()
    users = trio_ssh.AuthorizedKeys.of([user_key.public_key])
    serve = partial(trio_ssh.serve, shout, 0, host="127.0.0.1", host_keys=[host_key], authenticate=users, algorithms=wanted)
    async with trio.open_nursery() as nursery:
        listeners: list[trio.SocketListener] = await nursery.start(serve)
        async with trio_ssh.connect(
            "127.0.0.1",
            listeners[0].socket.getsockname()[1],
            credentials=[trio_ssh.PrivateKeyCredential(user_key)],
            host_keys=trio_ssh.PinnedKeys([host_key.public_key]),
            algorithms=wanted,
        ) as client:
            print("cipher:", client.negotiated.cipher_client_to_server)
            result = await client.run_process("shout", input=words.encode())
            print("answer:", result.stdout.decode())
        nursery.cancel_scope.cancel()


def main() -> int:
    algorithms.register_cipher(CIPHER)
    trio.run(serve_and_connect, " ".join(sys.argv[1:]) or "is anybody there?")
    return 0


if __name__ == "__main__":
    sys.exit(main())
