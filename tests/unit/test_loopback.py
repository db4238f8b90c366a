"""What LOCALHOST becomes, and whose choice is kept."""

import pytest

from evse_nodes.loopback import PROFILE, PROFILE_FILE, RANGE, stay_on_loopback

OURS = str(PROFILE_FILE)


@pytest.mark.parametrize(
    "environment", [{}, {RANGE: "LOCALHOST"}, {RANGE: "LOCALHOST", PROFILE: OURS}, {RANGE: "SYSTEM_DEFAULT", PROFILE: OURS}]
)
def test_localhost_becomes_one_transport_on_one_address(environment: dict[str, str]) -> None:
    assert stay_on_loopback(environment)
    assert environment == {RANGE: "SYSTEM_DEFAULT", PROFILE: OURS}


@pytest.mark.parametrize(
    "environment",
    [
        {RANGE: "SUBNET"},
        {RANGE: "OFF"},
        {RANGE: "SYSTEM_DEFAULT"},
        {RANGE: "LOCALHOST", PROFILE: "own.xml"},
        {RANGE: "LOCALHOST", "RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"},
    ],
)
def test_what_somebody_chose_is_kept(environment: dict[str, str]) -> None:
    before = dict(environment)
    assert not stay_on_loopback(environment)
    assert environment == before


def test_the_profile_names_no_address_but_the_loopback() -> None:
    text = PROFILE_FILE.read_text(encoding="utf-8")
    assert text.count("<address>") == text.count("<address>127.0.0.1</address>") == 1
    assert "<useBuiltinTransports>false" in text
