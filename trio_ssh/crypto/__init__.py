"""Packet protection and key exchange maths (RFC 4253 §6-8): bytes in, bytes out; no sockets, no clock, no protocol state."""
