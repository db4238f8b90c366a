"""Vehicles behind a charge controller of the campaign, controllers of other versions and settings, and what they speak with each other."""

from random import Random
from typing import Any

# Vehicles behind a charge controller, and controllers of other versions and settings. The last one cannot be charged by a station of 500 V.
VEHICLES: tuple[dict[str, Any], ...] = (
    {},
    {"newest_frames": False},
    {"use_sequence_flags": False},
    {"external_authorisation": False},
    {"range_mode": True},
    {"request_period": 2.0},
    {"plug": 4, "protocol": 7},
    {"protocol": 99, "plug": 99},
    {"min_voltage": 520.0, "max_voltage": 920.0, "target_voltage": 850.0},
)
WEIGHTS = (10, 2, 2, 2, 2, 2, 2, 1, 1)
# What a controller speaks with its vehicle, through which plug (can.md 1.3): ISO 15118-2, DIN 70121 and ISO 15118-20 by CCS, MCS, CHAdeMO of three generations.
SPOKEN: tuple[dict[str, Any], ...] = (
    {},
    {"protocol": 0, "plug": 1},
    {"protocol": 7},
    {"protocol": 7, "plug": 4},
    {"protocol": 3, "plug": 2},
    {"protocol": 4, "plug": 2},
    {"protocol": 5, "plug": 2},
)
# CHAdeMO through a plug of CCS, which is not charged.
ODDLY_SPOKEN = {"protocol": 4, "plug": 0}


def spoken(random: Random) -> dict[str, Any]:
    """Return protocol and plug, in half of all cases those of CCS by ISO 15118-2."""
    return dict(random.choices((*SPOKEN, ODDLY_SPOKEN), (10, 1, 1, 2, 1, 3, 1, 1))[0])


def connects_itself(vehicle: dict[str, Any]) -> bool:
    """Return whether the vehicle's contactor closes without a precharge."""
    return vehicle.get("plug") == 2
