"""How much memory something takes."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def traced() -> AsyncIterator[list[int]]:
    """The bytes that are there at the end and were not at the beginning, and the most that there were in between."""
    found: list[int] = []
    gc.collect()
    tracemalloc.start()
    try:
        yield found
        gc.collect()
        found += tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
