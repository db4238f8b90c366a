"""A ROS domain for each test graph: the processes that share the tests among them (pytest-xdist) choose from parts of their own."""

import os
import random

# Domains that ROS 2 documents as free of ephemeral ports on Linux begin at 0; 0 is everybody's default. [1]
LAST = 100


def own_domain() -> int:
    """Return a domain that no test of another process of this run uses now."""
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    part = LAST // count
    return random.randint(part * worker + 1, part * (worker + 1))
