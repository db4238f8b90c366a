"""The station of a demo: any description, with every part simulated and with buses and ports of its own."""

import copy
import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from evse_core import vehicle_link
from evse_core.meter_link import MODBUS, POWER_LINK
from evse_nodes.loopback import stay_on_loopback
from evse_tools.description import Description, load
from evse_tools.description_cabinet import CABINET, SIMULATOR, served
from evse_tools.description_schema import BUSES_OF, METER, METER_SIMULATOR, VEHICLE_SIMULATORS
from evse_tools.machine import processors

# ROS 2 domains that are free of ephemeral ports on Linux (ROS 2 documentation, "The ROS_DOMAIN_ID").
DOMAINS = range(1, 101)
# The simulated CSMS may come up after the uplink, and a demo is short: tried again soon, and enough meter values to look at. [s]
QUICK_UPLINK = {"back_off_wait_minimum": 0.5, "back_off_random_range": 0.3, "meter_value_sample_interval": 5}
# A car that makes up its mind quickly, where the description has no other: real ones take 5 s longer in all (vehicle_sequence_config.py). [s]
QUICK_VEHICLE = {"think_time": 1.0, "permission_delay": 0.3, "contactor_delay": 0.5, "request_delay": 0.5}
QUICK_CONTROLLER = {"boot_time": 0.5, "negotiation_time": 1.0, "request_delay": 0.5}
QUICK_AC_VEHICLE = {"ready_delay": 0.3, "start_delay": 0.3, "follow_delay": 0.5}
QUICK = {"vehicle_simulator": QUICK_VEHICLE, "secc_simulator": QUICK_CONTROLLER, "ac_vehicle_simulator": QUICK_AC_VEHICLE}
# Description of a demo by vehicle link, and for what only a cabinet of modules can show.
DESCRIPTIONS = {
    vehicle_link.CHADEMO: "single_evse.yaml",
    vehicle_link.SECC: "ccs.yaml",
    vehicle_link.PILOT: "ac_three_phase.yaml",
    "cabinet": "cabinet.yaml",
}
# The same for a demo in which the vehicle gives power.
DISCHARGING = {vehicle_link.CHADEMO: "v2x_chademo.yaml", vehicle_link.SECC: "v2x.yaml"}
# Tokens that the simulated CSMS knows, one per driver: UIDs of 4 bytes in hexadecimal digits.
TOKENS = tuple(f"04A1B2{number:02X}" for number in range(1, 100))


def default_description(link: str = vehicle_link.CHADEMO, discharge: bool = False) -> Path:
    """Return the description of a vehicle link, or of a cabinet of modules: of an installed evse_bringup, else of the source tree above this file.

    FileNotFoundError without one.
    """
    name = (DESCRIPTIONS | DISCHARGING if discharge else DESCRIPTIONS)[link]
    prefixes = filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep))
    folders = [Path(prefix) / "share" / "evse_bringup" / "config" for prefix in prefixes]
    folders += [parent / "config" for parent in Path(__file__).resolve().parents]
    if given := os.environ.get("EVSE_CONFIG_DIR"):
        folders.insert(0, Path(given))
    for path in (folder / name for folder in folders):
        if path.is_file():
            return path
    raise FileNotFoundError(f"no {name} in {', '.join(map(str, folders))}")


def expand(
    description: Mapping[str, Any], evses: int | None, csms: str, data_dir: Path, rating: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the description for a demo: `evses` EVSEs (None: as many as it has) like its own, in turn; csms "" for the simulated one.

    `rating`: what the EVSEs are to be made of besides.

    More EVSEs than processors share processes, where the description does not say otherwise: an EVSE with its simulators takes about half a processor.
    """
    result: dict[str, Any] = copy.deepcopy(dict(description))
    originals: Sequence[dict[str, Any]] = result["evses"]
    count = evses or len(originals)
    shared = served(result)
    if shared and count != len(originals):
        raise ValueError(f"--evses {count}: a description with {CABINET} has as many EVSEs as it says: {len(originals)}")
    result["evses"] = [_evse(originals[number % len(originals)], number + 1, rating or {}, shared) for number in range(count)]
    if shared:
        result[CABINET] = result[CABINET] | {"bus": {"interface": "udp_multicast", "channel": group()}}
        result[SIMULATOR] = result.get(SIMULATOR) or {}
    if count > processors():
        result.setdefault("composition", "evse")
    result["data_dir"] = str(data_dir)
    result["recorder"] = result.get("recorder") or {}
    uplink = dict(result.get("ocpp_uplink") or {})
    if csms:
        result.pop("csms_simulator", None)
        uplink["url"] = csms
    else:
        result["csms_simulator"] = {"port": free_port(), "tokens": list(TOKENS[:count])}
        uplink.pop("url", None)
        uplink = QUICK_UPLINK | uplink
    result["ocpp_uplink"] = uplink
    return result


def write_station(original: Path, evses: int | None, csms: str, folder: Path, rating: Mapping[str, Any] | None = None) -> Description:
    """Expand a description into folder/station.yaml, which `./station up` can start again, and return it. DescriptionError where it is wrong."""
    data = expand(yaml.safe_load(original.read_text(encoding="utf-8")), evses, csms, folder, rating)
    path = folder / "station.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return load(path)


def _evse(original: Mapping[str, Any], number: int, rating: Mapping[str, Any], shared: Collection[int]) -> dict[str, Any]:
    """Return an EVSE with simulated parts on buses of its own; those of `shared` have the modules of a cabinet."""
    result: dict[str, Any] = copy.deepcopy(dict(original))
    result["evse"], link = result["evse"] if shared else number, result.get("vehicle_link", vehicle_link.CHADEMO)
    on_cabinet = result["evse"] in shared
    given = dict(result.get("rating") or {})
    # What the description has already stays as it is.
    result["rating"] = given | {
        key: value for key, value in rating.items() if not given.get(key) and not (on_cabinet and key == "module_count")
    }
    result["can_bridge"] = dict(result.get("can_bridge") or {}) | {
        name: {"interface": "udp_multicast", "channel": group()} for name in BUSES_OF[link]
    }
    vehicle = VEHICLE_SIMULATORS[link]
    modules = ("power_module_simulator",) if "power_bus" in BUSES_OF[link] and not on_cabinet else ()
    for name in (vehicle, *modules, "io_board_simulator"):
        result[name] = result.get(name) or {}
    result[vehicle] = QUICK[vehicle] | result[vehicle]
    meter = result.get(METER) or {}
    if meter.get("kind", POWER_LINK) != POWER_LINK:
        # What stands for a meter on a network or a serial port is a server of this demo alone.
        result[METER_SIMULATOR] = result.get(METER_SIMULATOR) or {}
        meter = {key: value for key, value in meter.items() if key not in {"certificate", "serial", "serial_port"}}
        result[METER] = meter | ({"host": "127.0.0.1", "port": free_port()} if meter["kind"] == MODBUS else {})
    return result


def group() -> str:
    """Return a random interface-local IPv6 multicast group: it never leaves this machine."""
    return "ff11::" + ":".join(f"{random.getrandbits(16):x}" for _ in range(4))


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def own_domain() -> Iterator[int]:
    """Yield a ROS domain that no other demo of this machine uses, until the block ends; the environment names it, too. RuntimeError where all are taken."""
    folder = Path(tempfile.gettempdir()) / f"ros2_evse_domains_{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for domain in random.sample(DOMAINS, len(DOMAINS)):
        with (folder / str(domain)).open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            os.environ.update(ROS_DOMAIN_ID=str(domain), ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST")
            stay_on_loopback()
            yield domain
            return
    raise RuntimeError(f"all ROS domains {DOMAINS.start} to {DOMAINS.stop - 1} are taken by other demos (locks in {folder})")
