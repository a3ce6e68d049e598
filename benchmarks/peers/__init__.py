"""One program for each implementation, all with the same verbs: see `benchmarks.peers.common`."""
