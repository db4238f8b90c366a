"""Security profiles, keys and certificates against the CSMS simulator with TLS on loopback, without ROS."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_evse import wait_for
from ocpp_local import LocalBench, LocalCsms

from evse_core.ocpp16_certificates import CSMS_ROOT
from evse_simulators.csms_authority import Authority

KEY, OTHER_KEY = "11" * 16, "22" * 20


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[LocalBench]:
    made = LocalBench(tmp_path)
    yield made
    made.end()


def change(csms: LocalCsms, key: str, value: object) -> Any:
    return csms.call("ChangeConfiguration", key=key, value=str(value))


def value(csms: LocalCsms, key: str) -> Any:
    found = csms.call("GetConfiguration", key=[key])["configurationKey"][0]
    return found.get("value")


def install(csms: LocalCsms, authority: Authority) -> Any:
    return csms.call("InstallCertificate", certificateType=CSMS_ROOT, certificate=authority.pem)


def test_a_station_climbs_from_a_password_to_certificates_of_both_and_stays_there(bench: LocalBench, tmp_path: Path) -> None:
    """Profile 1, root, profile 2, request, certificate, profile 3: what an operator does in the field, without a visit."""
    root = Authority()
    plain = bench.csms(password=bytes.fromhex(KEY))
    secret = bench.csms(tls=root.server(tmp_path), password=bytes.fromhex(KEY))
    known = {"secure_url": secret.url, "authorization_key": KEY, "security_profile": 1, "serial_number": "SN-1"}
    bench.start(plain.url, **known)
    bench.until_registered()
    assert (value(plain, "SecurityProfile"), value(plain, "AuthorizationKey")) == ("1", None)
    assert [change(plain, "SecurityProfile", number) for number in (2, 1, 4)] == ["Rejected"] * 3
    assert install(plain, root) == "Accepted"
    assert change(plain, "SecurityProfile", 2) == "Accepted"
    wait_for(secret.connected, "the connection with TLS")
    assert change(secret, "SecurityProfile", 3) == "Rejected"
    assert secret.call("ExtendedTriggerMessage", requestedMessage="SignChargePointCertificate") == "Rejected"
    assert change(secret, "CpoName", "ros2_evse") == "Accepted"
    assert secret.call("ExtendedTriggerMessage", requestedMessage="SignChargePointCertificate") == "Accepted"
    csr = wait_for(lambda: secret.notices("SignCertificate"), "the request")[0]["csr"]
    assert secret.call("CertificateSigned", certificateChain=Authority("another").sign(csr)) == "Rejected"
    assert secret.call("CertificateSigned", certificateChain=root.sign(csr)) == "Accepted"
    assert change(secret, "SecurityProfile", 3) == "Accepted"
    secret.reopen(root.server(tmp_path, mutual=True))
    wait_for(secret.connected, "the connection with certificates of both")
    bench.start(plain.url, **known)  # What the CSMS has set comes before the description.
    wait_for(secret.connected, "the connection after a restart")
    assert value(secret, "SecurityProfile") == "3"
    settings = tmp_path / "data" / "settings.json"
    kept = [settings, *(tmp_path / "data" / "ocpp16_keys").iterdir()]
    assert [stat.S_IMODE(path.stat().st_mode) for path in kept] == [0o600, 0o600]
    assert "before_unproven_change" not in json.loads(settings.read_text())
    assert secret.call("DeleteCertificate", certificateHashData=hashes(secret)[0]) == "Failed"
    assert "InvalidChargePointCertificate" in secret.events()


def hashes(csms: LocalCsms) -> Any:
    asked = {"certificateType": CSMS_ROOT}
    return csms.ask("call", charge_point="EVSE-1", action="GetInstalledCertificateIds", payload=asked)["payload"]["certificateHashData"]


def test_a_key_that_does_not_work_is_given_up_for_the_one_before_it(bench: LocalBench) -> None:
    csms = bench.csms(password=bytes.fromhex(KEY))
    bench.start(csms.url, authorization_key=KEY, security_profile=1)
    bench.until_registered()
    assert [change(csms, "AuthorizationKey", text) for text in ("11" * 15, "x" * 40, "1" * 33)] == ["Rejected"] * 3
    assert change(csms, "AuthorizationKey", OTHER_KEY) == "Accepted"
    wait_for(lambda: not csms.connected(), "the end of the connection")
    wait_for(csms.connected, "the connection with the old key")
    wait_for(lambda: "ReconfigurationOfSecurityParameters" in csms.events()[-1:], "the event")
    assert change(csms, "AuthorizationKey", OTHER_KEY) == "Accepted"
    csms.reopen(password=bytes.fromhex(OTHER_KEY))
    wait_for(csms.connected, "the connection with the new key")
    bench.start(csms.url, authorization_key=KEY, security_profile=1)
    wait_for(csms.connected, "the new key after a restart")
    assert csms.ask("list")["violations"] == []


def test_a_csms_with_a_wrong_certificate_gets_no_connection_and_hears_of_it_later(bench: LocalBench, tmp_path: Path) -> None:
    right, wrong = Authority(), Authority("wrong")
    (tmp_path / "root.pem").write_text(right.pem)
    csms = bench.csms(tls=wrong.server(tmp_path), password=b"a password")
    bench.start(csms.url, security_profile=2, authorization_key="a password", csms_root_file=str(tmp_path / "root.pem"))
    wait_for(lambda: bench.states and "certificate verify failed" in bench.states[-1].detail, "the refusal")
    assert not csms.connected()
    csms.reopen(right.server(tmp_path), b"a password")
    bench.until_registered()
    wait_for(lambda: csms.events()[:2] == ["StartupOfTheDevice", "InvalidCentralSystemCertificate"], "the events in their order")


def test_what_a_profile_needs_and_is_not_there_is_told(bench: LocalBench) -> None:
    csms = bench.csms()
    bench.start(csms.url, security_profile=2, authorization_key="a password")
    wait_for(lambda: bench.states and "needs a root certificate of the CSMS" in bench.states[-1].detail, "the reason")
    assert not csms.connected()


def test_events_outlive_a_restart_and_a_csms_that_knows_none_is_asked_once(bench: LocalBench) -> None:
    csms = bench.csms()
    csms.ask("misbehave", kind="unknown", action="SecurityEventNotification")
    bench.start(csms.url)
    bench.until_registered()
    assert csms.call("ClearCache") == "Accepted"
    assert csms.events() == []
    bench.start(csms.url)
    wait_for(lambda: csms.events() == ["StartupOfTheDevice"] * 2, "both starts")
    bench.start(csms.url, security_events=False)
    bench.until_registered()
    assert csms.call("ClearCache") == "Accepted"
    assert csms.events() == ["StartupOfTheDevice"] * 2
