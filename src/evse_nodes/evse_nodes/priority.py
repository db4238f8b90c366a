"""How soon a process gets the processor: a permit or a command that comes 200 ms late because a backup or a compiler had it ends the session.

Who cuts power, or plays hardware that in a real station has a processor of its own, asks for real-time scheduling (sched(7), SCHED_RR): it runs before every
ordinary process, also before those of other login sessions and services, against which a nice value counts for nothing where the kernel groups processes by
session (autogroup). Everybody else of the station asks for a nice value. Root gets both; another user needs `rtprio` and `nice` in limits.conf(5), or
LimitRTPRIO= and LimitNICE= in a systemd unit. Who gets neither runs as well as the machine lets him, and `./station doctor` says so.
"""

import os
from contextlib import suppress

# Nice value of a station's processes.
NICE = -10
# Among real-time processes: below the interrupt threads of a PREEMPT_RT kernel (50), which receive our CAN frames.
REALTIME = 10


def ask(urgent: bool) -> str:
    """Ask for the priority of a process, with all threads that it has, and return what it got, in words.

    Whoever started it may have chosen another priority: that stays. Ask when everything is made: what starts shall not hold up who runs.
    """
    threads = [int(name) for name in os.listdir("/proc/self/task")]
    for thread in threads:
        # A thread may have ended meanwhile.
        with suppress(PermissionError, ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, thread, NICE)
            if urgent and os.sched_getscheduler(thread) == os.SCHED_OTHER:
                os.sched_setscheduler(thread, os.SCHED_RR, os.sched_param(REALTIME))
    return told()


def told() -> str:
    """Return the priority of the calling thread in words."""
    if os.sched_getscheduler(0) in {os.SCHED_RR, os.SCHED_FIFO}:
        return f"real-time priority {os.sched_getparam(0).sched_priority}"
    return f"nice {os.getpriority(os.PRIO_PROCESS, 0)}"
