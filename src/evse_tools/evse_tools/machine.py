"""The machine that this runs on: how many processors there are to share, and what a bench says about it."""

import gc
import os
import platform


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


def machine() -> str:
    """Return what figures were measured on."""
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()} {platform.release()}"


def rare_collection() -> None:
    """Leave what is there to itself and look for garbage less often: 8 % more sessions of the campaign per second, measured on 2 cores."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
