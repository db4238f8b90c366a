"""Who signs the records of tests."""

from datetime import UTC

from cryptography.hazmat.primitives.asymmetric import ec

from evse_core.evidence import Notary
from evse_core.ocmf import Gateway

GATEWAY = Gateway("ros2_evse", "0001", "0.1.0", "ros2_evse", "power_link", "0001-1", "0.1.0", "station*1")
NOTARY = Notary(ec.derive_private_key(0x1234567890ABCDEF, ec.SECP256R1()), GATEWAY, UTC)
