"""How the station makes itself known to the CSMS, and what may be changed of it: security profiles and AuthorizationKey (security whitepaper section 3).

| profile | connection | the CSMS proves itself by | the station by |
|---|---|---|---|
| 0 | as the address says | | AuthorizationKey where there is one |
| 1 | as the address says | | AuthorizationKey |
| 2 | wss, TLS 1.2 or later | certificate under an installed root | AuthorizationKey |
| 3 | wss, TLS 1.2 or later | certificate under an installed root | its own certificate |

A change from far is tried on the next connection. Until a connection has been made with it, the way before it stays known: every third try takes
that one, and a connection that it makes undoes the change. So a typing error in a key costs a minute and no journey.
"""

import base64
import string
from dataclasses import dataclass, replace
from typing import Final

from evse_core.ocpp16 import OcppConfig

# Bytes of an AuthorizationKey (whitepaper section 7 and errata), which is told as twice as many hexadecimal digits.
SHORTEST_KEY: Final = 16
LONGEST_KEY: Final = 20
# Profiles by what they need.
BASIC, TLS, MUTUAL = 1, 2, 3
# One of how many tries takes the way before an unproven change.
_EVERY: Final = 3


@dataclass(frozen=True, slots=True)
class Installed:
    """What is there for TLS: a root certificate of the CSMS, and one of the station."""

    root: bool = False
    certificate: bool = False


def key_text(text: str) -> str:
    """Return an AuthorizationKey of ChangeConfiguration as it is kept; ValueError where it is none."""
    if len(text) % 2 or not 2 * SHORTEST_KEY <= len(text) <= 2 * LONGEST_KEY or set(text) - set(string.hexdigits):
        raise ValueError(f"an AuthorizationKey has {2 * SHORTEST_KEY} to {2 * LONGEST_KEY} hexadecimal digits")
    return text


def password(key: str) -> bytes:
    """Return the bytes of a key: hexadecimal digits as a CSMS sets them, else the text that a description gives."""
    try:
        return bytes.fromhex(key_text(key))
    except ValueError:
        return key.encode()


def profile_refusal(config: OcppConfig, wanted: int, installed: Installed) -> str:
    """Return why the CSMS may not have a security profile, "" where it may (whitepaper A05)."""
    if wanted <= config.security_profile:
        return f"profile {wanted} is not above {config.security_profile}"
    return missing(replace(config, security_profile=wanted), installed)


def missing(config: OcppConfig, installed: Installed) -> str:
    """Return what the security profile needs and is not there, "" where nothing is missing."""
    profile = config.security_profile
    if profile in (BASIC, TLS) and not config.authorization_key:
        return f"security profile {profile} needs an AuthorizationKey"
    if profile >= TLS and not installed.root:
        return f"security profile {profile} needs a root certificate of the CSMS"
    if profile >= MUTUAL and not installed.certificate:
        return f"security profile {profile} needs a certificate of the station that is valid"
    return ""


def address(config: OcppConfig) -> str:
    """Return the address, still without the identity; profiles 2 and 3 take secure_url, or url with TLS."""
    url = config.url
    if config.security_profile >= TLS:
        url = config.secure_url or url.replace("ws://", "wss://", 1)
    return url.rstrip("/")


def headers(config: OcppConfig) -> dict[str, str]:
    """Return the headers of HTTP: basic authentication where there is a key and no certificate in its place."""
    if not config.authorization_key or config.security_profile >= MUTUAL:
        return {}
    pair = config.charge_point_id.encode() + b":" + password(config.authorization_key)
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def takes_old(failures: int) -> bool:
    """Return whether a try takes the way before an unproven change; failures counts the connections that ended or failed since the last good one."""
    return failures > 0 and failures % _EVERY == 0
