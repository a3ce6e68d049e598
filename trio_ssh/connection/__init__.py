"""The tasks of one connection.

    stream ──> read_packets ──(20-49)──> supervise_keys             memory channel: kex messages, budget alarms
                  │  │  └─────(5-7, 50-79)──> auth task             memory channel: auth messages
                  │  └────────(80-127)─plain call─> Mux ─> one bounded inbox per Channel ─> your task
                  └── at NEWKEYS: awaits the new OpeningKey <── supervise_keys     (memory channel, capacity 1)

    your task ─plain call─> Transport ─> Sealer ─> outbox ──wake-up, once a batch──> write_outbox ──> stream

    supervise_keys ──Transport, once the first keys are in use──> auth ──Mux, once authenticated──> reader and user   memory channels

Five laws
---------
1. Only `read_packets` receives, only `write_outbox` sends.
2. The reader waits for the socket and, at the two turning points NEWKEYS and USERAUTH_SUCCESS, for our own task to hand over what the
   following bytes are for; for nothing else, ever: not for an application, not for a flush, not for a lock a user task can hold. Windows
   bound the data it may pile up, `Limits` bound the rest; going over one is the peer's protocol error.
3. Taking a sequence number, sealing and appending to the outbox is one synchronous act. A sealed packet is sent or the connection is dead.
4. A caller's cancellation is noticed only *before* sealing. Cancelling one channel's `send_all` never harms another channel or the
   connection.
5. Whatever queues has a limit with a name, and the tests run with every limit at its minimum.
"""
