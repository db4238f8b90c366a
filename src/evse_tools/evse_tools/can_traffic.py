"""Two saturated CAN buses for `station bench can`, and the process that sends them: known and unknown identifiers in turn, no frame as the one before.

Each frame is eight bytes. Half of them no database names. In the other half something drifts each time, so that nobody is spared the decoding. From time to
time a value leaps, the modules' voltage and the vehicle's current request: can_bridge reports a leap at once, and the value tells which leap a report shows.
"""

import json
import random
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import can
from can.interfaces.udp_multicast.utils import pack_message

from evse_core.frame import Frame
from evse_core.types import BusLink
from evse_nodes.databases import load

# Eight-byte frames of a loaded 500 kbit/s bus (../shared/reference/can.md 5.1). [1/s]
RATE = 4000.0
# Time between two leaps. Shorter than the 50 ms after which an ordinary report goes out (can_schedule.py, half of report_period), so that no leap falls into
# the 5 ms that a topic rests after a report (REPORT_SPACING) and waits for the rate limit instead of for the bridge; a random part keeps it off every grid. [s]
LEAP, RANDOM = 0.03, 0.015
# Leaps until a value comes again, and how many variants of each frame drift.
LEAPS, VARIANTS = 80, 16
PISTOL = 1
# What python-can's udp_multicast names a message that is sent: nobody reads it.
FIRST_UNKNOWN, FIRST_UNKNOWN_EXTENDED = 0x600, 0x1ABCD00


@dataclass(frozen=True, slots=True)
class Group:
    """Where a bus is: the multicast group and port of python-can's udp_multicast."""

    channel: str
    port: int


@dataclass(frozen=True, slots=True)
class Leap:
    """A value that a frame was the first to show, and the monotonic time just before that frame was given to the socket [s]."""

    link: int
    value: float
    at: float


def leap_value(link: BusLink, number: int) -> float:
    """Return the value of a leap: modules 105, 115, ... V, vehicle 100, 101, ... A; each in another step than the one before (can_bridge_news.LEAPS)."""
    return 105.0 + 10.0 * (number % LEAPS) if link is BusLink.POWER else 100.0 + number % LEAPS


def known(link: BusLink, value: float) -> list[Frame]:
    """Return a round of frames that the database names, with this value in those that carry it."""
    return [frame for variant in range(VARIANTS) for frame in _variant(link, value, variant)]


def _variant(link: BusLink, value: float, variant: int) -> list[Frame]:
    """Return one frame of each kind; what drifts changes no flag, no counter and no value that leaps."""
    named: dict[str, dict[str, float]]
    if link is BusLink.POWER:
        modules = load("evse_v3")
        status: dict[str, float] = {
            "Present_Voltage": value,
            "Present_Current": 50.0 + 0.1 * variant,
            "Power_Modules_Temperature": 40 + variant,
            "Enclosure_Temperature": 30,
            "System_Enable": 1,
            "Insulation_Resistance": 500,
        }
        limits: dict[str, float] = {"Maximum_Voltage": 1000, "Maximum_Charge_Current": 100 + variant, "Maximum_Discharge_Current": 0}
        bank: dict[str, float] = {
            "Module_Count": 4,
            "Modules_Working": 4,
            "Lowest_Module_Current": 12,
            "Highest_Module_Current": 13,
            "Alive": variant,
        }
        named = {"Power_Modules_Status": status, "DC_Power_Parameters": limits, "Module_Bank": bank}
        return [modules.encode(name, signals, pistol=PISTOL) for name, signals in named.items()]
    vehicle = load("chademo")
    request: dict[str, float] = {
        "control_protocol_number": 2,
        "target_battery_voltage": 410,
        "charging_current_request": value,
        "status_charging_enabled": 1,
        "charged_rate": 50 + variant,
    }
    window: dict[str, float] = {"min_charge_current": variant, "max_battery_voltage": 435, "charged_rate_reference": 100}
    times: dict[str, float] = {"max_charging_time_10s": 2550, "max_charging_time_min": 60, "estimated_charging_time": 20 + variant}
    named = {"EV_Status": request, "EV_ChargingLimits": window, "EV_ChargingTime": times}
    return [vehicle.encode(name, signals) for name, signals in named.items()]


def unknown(link: BusLink) -> list[Frame]:
    """Return frames that no database names."""
    found = []
    for number in range(VARIANTS):
        data = bytes((number, *range(1, 8)))
        is_extended = link is BusLink.POWER
        found.append(Frame((FIRST_UNKNOWN_EXTENDED if is_extended else FIRST_UNKNOWN) + number, data, is_extended))
    return found


class Bus:
    """One bus: `send` the next frame, leap when it is time. Nothing is received, so that sending costs little."""

    def __init__(self, link: BusLink, group: Group) -> None:
        self.link, self.sent = link, 0
        self.leaps: list[Leap] = []
        self._known = [[_packed(frame) for frame in known(link, leap_value(link, number))] for number in range(LEAPS)]
        self._unknown = [_packed(frame) for frame in unknown(link)]
        # Index of the frames in a round that carry the value.
        self._kinds = len(self._known[0]) // VARIANTS
        self._next_leap = 0.0
        self._socket = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 0)
        self._place = (group.channel, group.port)

    def send(self, now: float) -> None:
        """Send one frame."""
        number, is_unknown = divmod(self.sent, 2)
        self.sent += 1
        if is_unknown:
            self._socket.sendto(self._unknown[number % VARIANTS], self._place)
            return
        index = number % (VARIANTS * self._kinds)
        if now >= self._next_leap and index % self._kinds == 0:
            self._next_leap = now + LEAP + RANDOM * random.random()
            count = len(self.leaps) + 1
            self.leaps.append(Leap(int(self.link), leap_value(self.link, count), time.monotonic()))
        self._socket.sendto(self._known[len(self.leaps) % LEAPS][index], self._place)

    def close(self) -> None:
        """Leave the bus."""
        self._socket.close()


def _packed(frame: Frame) -> bytes:
    """Return a frame as a datagram of python-can's udp_multicast."""
    message = can.Message(arbitration_id=frame.id, data=frame.data, is_extended_id=frame.extended)
    packed: bytes = pack_message(message)
    return packed


def rounds(seconds: float) -> Iterator[float]:
    """Yield the time, once per frame of a bus; what was late is caught up with."""
    began = now = time.monotonic()
    for count in range(int(seconds * RATE)):
        due = began + count / RATE
        while (now := time.monotonic()) < due:
            time.sleep(due - now)
        yield now


def main() -> int:
    """Send on the buses of a JSON object (seconds; buses: link, channel, port) and print what was sent."""
    order = json.loads(sys.argv[1])
    buses = [Bus(BusLink(bus["link"]), Group(bus["channel"], bus["port"])) for bus in order["buses"]]
    began = time.monotonic()
    for now in rounds(order["seconds"]):
        for bus in buses:
            bus.send(now)
    took = time.monotonic() - began
    for bus in buses:
        bus.close()
    print(
        json.dumps(
            {
                "took": took,
                "sent": {int(bus.link): bus.sent for bus in buses},
                "leaps": [asdict(leap) for bus in buses for leap in bus.leaps],
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
