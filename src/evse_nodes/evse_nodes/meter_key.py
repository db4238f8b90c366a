"""The key that signs an EVSE's records: <data_dir>/meter_key_<evse>.pem, made at the first start and readable by its owner only."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from evse_core.energy_meter import MeterConfig
from evse_core.evidence import Notary
from evse_core.ocmf import Gateway
from evse_core.receipt import zone

# What signs, and which meter is behind it: the power modules' readings, integrated (evse_core/energy_meter.py).
MODEL, VERSION, METER_MODEL = "ros2_evse energy_meter", "0.1.0", "power_link"


def notary(folder: Path, evse: int, config: MeterConfig, extensions: Callable[[], Mapping[str, str]] = dict) -> Notary:
    """Return who signs for an EVSE, with what else each record says; ValueError where its key cannot be read or made."""
    serial = config.serial or config.station_name or "unnamed"
    gateway = Gateway(
        model=MODEL,
        serial=serial,
        version=VERSION,
        meter_vendor="ros2_evse",
        meter_model=METER_MODEL,
        meter_serial=f"{serial}-{evse}",
        meter_firmware=VERSION,
        evse_id=config.evse_id or f"{config.station_name or 'station'}*{evse}",
    )
    return Notary(_key(folder / f"meter_key_{evse}.pem"), gateway, zone(config.time_zone), config.current_type, extensions)


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        if not path.exists():
            _make(path)
        found = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{path}: cannot be used as the key of the meter: {error}") from error
    if not isinstance(found, ec.EllipticCurvePrivateKey) or not isinstance(found.curve, ec.SECP256R1):
        raise ValueError(f"{path}: is no private key of the curve secp256r1")
    return found


def _make(path: Path) -> None:
    """Write a new key as a whole, for its owner only from the first byte on."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
