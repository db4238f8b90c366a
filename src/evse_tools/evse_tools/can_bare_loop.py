"""The bare loop that `station bench can` compares with: python-can receives, cantools decodes, nothing else. A process per bus, so that no thread waits for
another.
"""

import json
import sys
import time

from cantools.database.can.database import Database

from evse_core.codecs.signals import EXTENDED_MASK
from evse_nodes.can_back_end import open_bus
from evse_nodes.can_interfaces import bus_arguments
from evse_nodes.databases import EXTENSIONS, find

# The sender has ended when nothing has come for so long. [s]
QUIET = 1.0
# Longest wait for the first frame. [s]
START = 30.0
# Each value is of so long. [s]
WINDOW = 1.0


def database(name: str) -> Database:
    """Return a database with its extensions, as cantools has it."""
    found = Database()
    for part in (name, *EXTENSIONS.get(name, ())):
        found.add_dbc_file(find(part))
    return found


def main() -> int:
    """Receive from a bus (a JSON object: channel, port, database) until it is quiet; print frames, known ones, and processor time per frame of windows."""
    order = json.loads(sys.argv[1])
    known: Database = database(order["database"])
    bus = open_bus(bus_arguments("udp_multicast", order["channel"], 500_000, {"port": order["port"]}))
    print("ready", flush=True)
    frames = decoded = 0
    windows: list[float] = []
    message = bus.recv(START)
    since, busy, count = time.monotonic(), time.process_time(), 0
    while message is not None:
        frames += 1
        identifier = message.arbitration_id & EXTENDED_MASK if message.is_extended_id else message.arbitration_id
        try:
            known.decode_message(identifier, bytes(message.data))
        except KeyError:
            pass
        else:
            decoded += 1
        if frames % 100 == 0 and (now := time.monotonic()) - since >= WINDOW:
            windows.append((time.process_time() - busy) / (frames - count))
            since, busy, count = now, time.process_time(), frames
        message = bus.recv(QUIET)
    bus.shutdown()
    print(json.dumps({"frames": frames, "decoded": decoded, "windows": windows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
