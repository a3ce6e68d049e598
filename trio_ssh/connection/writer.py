"""`write_outbox`: the only sender (law 1)."""

from __future__ import annotations

import trio

from ..errors import ConnectionLost
from .sockets import sender_for
from .transport import Transport


async def write_outbox(stream: trio.abc.SendStream, transport: Transport) -> None:
    """Send whatever is sealed, batch by batch, until cancelled. Raises `ConnectionLost` when the stream does not take it.

    Sealed bytes belong to this task: while one batch is being sent the next is collected in the other buffer, so nobody waits for the
    socket but us. A cancellation in mid-batch leaves the stream unusable, which is why this task is cancelled only at the very end.
    """
    send = sender_for(stream, transport.handed)
    try:
        while True:
            await send(await transport.next_batch())
    except (trio.BrokenResourceError, OSError) as error:
        raise ConnectionLost(f"the connection broke while sending: {error.__cause__ or error}") from error
    except trio.ClosedResourceError as error:
        raise ConnectionLost("the stream below the connection was closed") from error
    finally:
        transport.writer_ended()
