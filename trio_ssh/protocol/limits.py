"""Every bound that a peer can be made to meet, in one frozen value: whatever queues or waits has its name here."""

from __future__ import annotations

import attrs

from .source_penalties import SourcePenalties

KIB = 1024
MIB = 1024 * KIB


@attrs.frozen(kw_only=True)
class Limits:
    """What one connection may cost. Sizes are bytes, times are seconds.

    The defaults suit servers that face the internet. `connect` and `serve` take an instance; a test sets one field small and meets it.
    """

    packet_bytes_preauth: int = 64 * KIB
    """Largest packet_length taken before authentication (RFC 4253 §6.1)."""
    packet_bytes: int = 256 * KIB
    """Largest packet_length taken after it."""
    identification_line_bytes: int = 255
    """RFC 4253 §4.2, with CR LF."""
    identification_pre_lines: int = 1024
    """Lines a server may send before its identification; a client may send none."""
    identification_pre_bytes: int = 64 * KIB
    identification_seconds: float = 10
    identification_eight_bit: bool = False
    """Take bytes 0x80 to 0xff in a peer's identification, which RFC 4253 §4.2 forbids."""
    kex_seconds: float = 20
    """From the first KEXINIT to the last NEWKEYS, without the time a host key policy takes."""
    login_seconds: float = 60
    """Server: from the accepted connection to USERAUTH_SUCCESS."""
    kexinit_names: int = 1024
    """Names in one list of a KEXINIT."""
    kexinit_list_bytes: int = 16 * KIB
    kexinit_name_bytes: int = 64
    """Of one name in a KEXINIT; RFC 4251 §6 allows no more than the default."""
    ext_info_entries: int = 64

    auth_failures: int = 6
    """Failed attempts before the server disconnects (OpenSSH's MaxAuthTries); a client makes no more than so many."""
    auth_requests: int = 64
    """Requests of any kind, on either side of an authentication."""
    auth_messages_waiting: int = 16
    """Messages the peer may send ahead while one attempt is being decided."""
    auth_requests_after_success: int = 128
    auth_failure_seconds: float = 0.005
    """The least time a refused attempt takes; a part that depends on the user's name comes on top. What took longer takes a multiple."""
    preauth_noise_packets: int = 1024
    """IGNORE, DEBUG, UNIMPLEMENTED and PING before authentication is complete."""
    password_bytes: int = 1024
    username_bytes: int = 256
    kbdint_prompts: int = 16
    """Questions in one round of keyboard-interactive, in either role (RFC 4256 §3.2)."""
    kbdint_rounds: int = 16
    """Rounds of one attempt."""
    banner_bytes: int = 64 * KIB
    banners: int = 16

    sessions: int = 10
    """Session channels at once (OpenSSH's MaxSessions)."""
    channels: int = 1024
    """Channels of all types at once."""
    window_bytes: int = 2 * MIB
    """What a peer may send on one channel before the application has taken it (RFC 4254 §5.2)."""
    channel_packet_bytes: int = 32 * KIB
    """Largest channel data packet we ask for."""
    channel_packet_bytes_out: int = 256 * KIB
    """Largest channel data packet we send, whatever the peer allows."""
    window_total_bytes: int = 64 * MIB
    """Granted windows of all channels together."""
    out_buffer_bytes: int = 512 * KIB
    """Sealed bytes waiting for the writer before channel senders wait."""
    send_quantum_bytes: int = 64 * KIB
    """What one channel seals in a row while others wait for room."""
    reply_queue_bytes: int = 1 * MIB
    """Answers the peer caused and does not read; past it the connection ends."""
    request_backlog: int = 32
    """Opens and requests that wait for an application's decision."""

    rekey_bytes: int | None = None
    """Bytes under one key, each direction; None leaves the cipher's own bound."""
    rekey_packets: int = 2**31
    """RFC 4344 §3.1."""
    rekey_seconds: float = 3600
    rekey_answer_seconds: float = 60
    """How long a peer may take over a rekey."""
    rekey_inbound_bytes: int = 64 * MIB
    """What a peer may send after our KEXINIT before its own."""
    rekey_out_bytes: int = 256 * KIB
    """Small messages held back during a rekey."""
    rekeys_per_second: int = 5
    """Rekeys a peer may begin in a second with nothing sent between them in either direction."""

    keepalive_seconds: float | None = None
    """Ask after this long without a word from the peer; None never asks."""
    keepalive_misses: int = 3
    close_seconds: float = 5
    """What leaving a connection may take, whatever the peer does."""
    channel_linger_seconds: float = 5
    """How long a peer may take to answer our CHANNEL_CLOSE."""

    hostkeys_update: int = 32
    """Host keys that a server may announce, or be asked to prove, on one connection (OpenSSH's UpdateHostKeys)."""
    env_vars: int = 128
    pty_modes_bytes: int = 1 * KIB
    exec_bytes: int = 64 * KIB
    crypto_queue: int = 32
    """Slow key exchanges waiting for a thread."""
    unauthenticated_connections: int = 100
    """Server: connections that have not logged in yet; with so many there all newcomers are refused (OpenSSH's MaxStartups)."""
    unauthenticated_drop_begin: int = 10
    """With so many there newcomers begin to be refused at random. The one other source that has most of them counts as one."""
    unauthenticated_drop_percent: float = 30
    """How likely that is at first; it grows evenly to 100 % at `unauthenticated_connections`."""
    unauthenticated_per_source: int | None = 10
    """The same of one source (PerSourceMaxStartups). None: no bound. Peers without an IP address have no source."""
    source_ipv4_bits: int = 32
    """An IPv4 network of so many bits is one source (PerSourceNetBlockSize)."""
    source_ipv6_bits: int = 64
    handshakes_per_source_per_second: int | None = 20
    """Connections of one source that begin to be served in any second: a quarter at once, the others wait their turn. None: no bound."""
    log_lines_per_second: int = 100
    """Records that a server writes about its connections; what is left out is counted."""
    source_penalties: SourcePenalties | None = None
    """Refuse sources that misbehave for a while; None does not."""
