"""The message queue under kill -9: whatever the moment, every session is billed once, completely and in order."""

import json
import random
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

SESSIONS = 100
KILLS = 25
# A station and its CSMS in one process. The CSMS's memory is a file that it appends to before it answers, as a real one commits before it answers. Like
# energy_meter after a restart, the station tells of all its sessions again from the first one.
WORKER = """
import json, sys
from pathlib import Path
from evse_core.ocpp16_delivery import filled
from evse_core.ocpp16_messages import Request
from evse_nodes.message_queue import MessageQueue
queue, log, sessions = MessageQueue(Path(sys.argv[1])), open(sys.argv[2], "a"), int(sys.argv[3])
def send():
    message = next(queue.in_order(), None)
    if message is not None:
        log.write(json.dumps([message.session_id, message.kind, message.message_id, filled(message)]) + "\\n")
        log.flush()
        queue.delivered(message, int(message.session_id) + 1000)
    return message
print("ready", flush=True)
for number in range(sessions):
    name, at = str(number), float(number)
    start, stop = Request("StartTransaction", {"at": at}), Request("StopTransaction", {"at": at + 0.5})
    queue.begin(1, name, "T", at, start)
    queue.sample(1, name, 1, at + 0.2, Request("MeterValues", {"at": at + 0.2}))
    send()
    queue.end(1, name, "T", at, start, at + 0.5, stop, at)
    if number % 3:
        send()
while send() is not None:
    pass
print("done", flush=True)
"""


def run(directory: Path, kill_after: float | None) -> bool:
    """Run the worker, kill it so many seconds after it is ready; returns whether it came to its end."""
    arguments = [str(directory / "queue.sqlite"), str(directory / "csms.log"), str(SESSIONS)]
    with subprocess.Popen([sys.executable, "-c", WORKER, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if kill_after is not None:
            try:
                process.wait(kill_after)
            except subprocess.TimeoutExpired:
                process.kill()
        return process.stdout.read() == "done\n"


def test_every_session_is_billed_once_completely_and_in_order_whenever_the_process_dies(tmp_path: Path) -> None:
    chosen = random.Random(16)
    killed = sum(not run(tmp_path, chosen.uniform(0.0, 0.05)) for _ in range(KILLS))
    assert killed >= 5, "too few kills hit a working process for this test to mean anything"
    assert run(tmp_path, None)
    seen: dict[str, list[Any]] = defaultdict(list)
    for line in (tmp_path / "csms.log").read_text().splitlines():
        session, kind, message_id, payload = json.loads(line)
        seen[session].append((kind, message_id, payload))
    assert set(seen) == {str(number) for number in range(SESSIONS)}
    repeated = 0
    for session, messages in seen.items():
        unique = list(dict.fromkeys((kind, message_id, json.dumps(payload)) for kind, message_id, payload in messages))
        repeated += len(messages) - len(unique)
        kinds = [kind for kind, _, _ in unique]
        assert kinds in (["start", "meter", "stop"], ["start", "stop"]), f"session {session}: {kinds}"
        assert all(json.loads(payload)["transactionId"] == int(session) + 1000 for kind, _, payload in unique if kind != "start")
    assert repeated <= killed, "a crash repeats at most the one message that was under way"
