"""Who gets the processor first, asked for in processes of their own: a priority stays with who has it."""

import os
import subprocess
import sys

import pytest

from evse_nodes.priority import NICE, REALTIME

ASK = """
import os, sys, threading
from evse_nodes import priority
user, policy, urgent = sys.argv[1:]
if policy == "batch":
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
if user != "root":
    import resource
    resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
    resource.setrlimit(resource.RLIMIT_NICE, (0, 0))
    os.setuid(65534)
asked, told = threading.Event(), []
early = threading.Thread(target=lambda: (asked.wait(), told.append(priority.told())))
early.start()
told.append(priority.ask(urgent == "urgent"))
asked.set()
late = threading.Thread(target=lambda: told.append(priority.told()))
late.start()
early.join()
late.join()
print("/".join(told))
"""
root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may take a priority, and give it up")


def granted(user: str, policy: str, urgent: str) -> list[str]:
    """Return what a process got, a thread that it had, and one that it starts later."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    end = subprocess.run(
        [sys.executable, "-c", ASK, user, policy, urgent], capture_output=True, text=True, check=True, timeout=30, env=environment
    )
    return end.stdout.strip().split("/")


def may_be_realtime() -> bool:
    """A container may keep real-time scheduling even from root."""
    return granted("root", "other", "urgent")[0] == f"real-time priority {REALTIME}"


@root
def test_who_cuts_power_runs_in_real_time_and_his_threads_too() -> None:
    if not may_be_realtime():
        pytest.skip("this machine keeps real-time scheduling from root")
    assert granted("root", "other", "urgent") == [f"real-time priority {REALTIME}"] * 3


@root
def test_others_are_ordinary_processes_with_a_lower_nice_value() -> None:
    assert granted("root", "other", "ordinary") in ([f"nice {NICE}"] * 3, ["nice 0"] * 3)


@root
def test_a_policy_that_somebody_chose_stays() -> None:
    assert all(line.startswith("nice") for line in granted("root", "batch", "urgent"))


@root
def test_who_may_not_runs_all_the_same() -> None:
    assert granted("nobody", "other", "urgent") == ["nice 0"] * 3
