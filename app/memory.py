"""Memory that was freed goes back to the system, under load as well."""

import contextlib
import ctypes
import gc

_MMAP_THRESHOLD, _ARENA_MAX = -3, -8  # of glibc's mallopt
_LARGE = 1 << 20  # bytes; a dialogue's cache consists of such pieces


def few_heaps() -> None:
    """Sets the allocator up for a server; call it before threads start.

    Threads come with every reply: with a heap for each of them memory would creep up. Large pieces
    get pages of their own, which go back as soon as they are freed. By default glibc stops doing
    that after a few of them, and one small piece on top then holds all that is free below it.
    """
    with contextlib.suppress(OSError, AttributeError):  # only glibc has such heaps
        libc = ctypes.CDLL(None)
        libc.mallopt(_ARENA_MAX, 2)
        libc.mallopt(_MMAP_THRESHOLD, _LARGE)


def keep_for_good() -> None:
    """Takes what is loaded by now out of the collector's sight: a collection then takes
    microseconds and no fifth of a second, and can be done while somebody is spoken to."""
    gc.collect()
    gc.freeze()


def give_back() -> None:
    """Collects what only cycles keep, and returns free heap to the system."""
    if gc.get_freeze_count():  # else a collection would hold up everything else
        gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
