"""`Limits.close_seconds`: leaving a connection whose peer takes nothing any more."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

import trio_ssh

HOST_KEY = trio_ssh.PrivateKey.generate()
USER_KEY = trio_ssh.PrivateKey.generate()


async def handler(session: trio_ssh.ServerSession) -> None:
    await trio.sleep_forever()


@pytest.mark.parametrize("seconds", [0, 0.25, 1])
async def test_tri_09_leaving_takes_no_longer(seconds: float, autojump_clock: MockClock) -> None:
    client_stream, server_stream = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            lambda: trio_ssh.serve_stream(
                handler, server_stream, host_keys=[HOST_KEY], authenticate=trio_ssh.AuthorizedKeys.of([USER_KEY.public_key])
            )
        )
        async with trio_ssh.connect(
            "host",
            username="ada",
            stream=client_stream,
            credentials=[trio_ssh.PrivateKeyCredential(USER_KEY)],
            host_keys=trio_ssh.PinnedKeys([HOST_KEY.public_key]),
            limits=trio_ssh.Limits(close_seconds=seconds),
        ):
            client_stream.send_stream.send_all_hook = trio.sleep_forever  # from here on the peer takes nothing
            left = trio.current_time()
        assert trio.current_time() - left == pytest.approx(seconds)
