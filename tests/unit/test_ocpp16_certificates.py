"""Certificates of the security whitepaper: what is installed, what the station's own must be, and the hashes that name them."""

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp

from evse_core import ocpp16_certificates as certificates
from evse_core.ocpp16 import OcppConfig
from evse_core.ocpp16_access import Installed, address, headers, missing, password, profile_refusal, takes_old
from evse_core.ocpp16_certificates import CSMS_ROOT, MANUFACTURER_ROOT, BadCertificate, Root, installable, own_chain, request
from evse_core.ocpp16_security_events import REPEAT, Repeats, SecurityEvent, notification
from evse_nodes.ocpp_certificates import Certificates, Listeners
from evse_nodes.ocpp_file import KeptFile
from evse_nodes.security_log import KEPT, SecurityLog
from evse_simulators.csms_authority import Authority

NOW = time.time()
KEY = ec.generate_private_key(ec.SECP256R1())
CSR = request(KEY, "SN-1", "operator")
ROOT, NEXT, STRANGER = Authority(), Authority("another"), Authority("stranger")
CROSS_SIGNED = Authority("next", above=ROOT)


def weak() -> str:
    key = rsa.generate_private_key(65537, 1024)
    name = x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1).not_valid_before(ROOT.certificate.not_valid_before_utc)
    made = builder.not_valid_after(ROOT.certificate.not_valid_after_utc).add_extension(x509.BasicConstraints(True, None), True)
    return certificates.as_pem([made.sign(key, hashes.SHA256())])


@pytest.mark.parametrize(
    ("pem", "issuers", "why"),
    [
        ("no PEM", (), "no certificate"),
        (ROOT.pem + NEXT.pem, (), "2 certificates"),
        (ROOT.sign(CSR), (), "may not sign"),
        (CROSS_SIGNED.pem, (), "another one signed it"),
        (NEXT.pem, (ROOT.certificate,), "did not sign it"),
        (weak(), (), "its key is none of"),
    ],
)
def test_what_is_no_root_is_not_installed(pem: str, issuers: tuple[Any, ...], why: str) -> None:
    with pytest.raises(BadCertificate, match=why):
        installable(pem, NOW, issuers)


@pytest.mark.parametrize("day", [-2, 366])
def test_a_root_out_of_its_time_is_not_installed(day: int) -> None:
    assert installable(ROOT.pem, NOW).certificate == ROOT.certificate
    with pytest.raises(BadCertificate, match="not valid now"):
        installable(ROOT.pem, NOW + day * 86400)


@pytest.mark.parametrize("root", [Root(ROOT.certificate, ROOT.certificate), Root(CROSS_SIGNED.certificate, ROOT.certificate)])
@pytest.mark.parametrize("algorithm", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_hash_data_is_that_of_ocsp(root: Root, algorithm: hashes.HashAlgorithm) -> None:
    asked = ocsp.OCSPRequestBuilder().add_certificate(root.certificate, root.issuer, algorithm).build()
    found = certificates.hash_data(root, algorithm.name.upper().replace("-", ""))
    assert (found["issuerNameHash"], found["issuerKeyHash"]) == (asked.issuer_name_hash.hex(), asked.issuer_key_hash.hex())
    assert int(found["serialNumber"], 16) == asked.serial_number
    assert certificates.is_named(root, {**found, "serialNumber": "00" + found["serialNumber"].upper()})
    assert not certificates.is_named(root, {**found, "issuerKeyHash": "00"})


@pytest.mark.parametrize(
    ("pem", "name", "organisation", "why"),
    [
        (STRANGER.sign(CSR), "SN-1", "operator", "no chain"),
        (ROOT.sign(request(ec.generate_private_key(ec.SECP256R1()), "SN-1", "operator")), "SN-1", "operator", "not for the key"),
        (ROOT.sign(CSR), "SN-2", "operator", "commonName"),
        (ROOT.sign(CSR), "SN-1", "others", "organizationName"),
        (ROOT.sign(CSR, timedelta(days=-3), timedelta(days=1)), "SN-1", "operator", "it is over"),
    ],
)
def test_a_certificate_that_is_not_for_this_station_is_refused(pem: str, name: str, organisation: str, why: str) -> None:
    with pytest.raises(BadCertificate, match=why):
        own_chain(pem, KEY.public_key(), name, organisation, [ROOT.certificate], NOW)


def test_a_chain_over_an_intermediate_leads_to_the_root() -> None:
    chain = CROSS_SIGNED.sign(CSR) + CROSS_SIGNED.pem
    assert len(own_chain(chain, KEY.public_key(), "SN-1", "operator", [ROOT.certificate], NOW)) == 2
    with pytest.raises(BadCertificate, match="no chain"):
        own_chain(CROSS_SIGNED.sign(CSR), KEY.public_key(), "SN-1", "operator", [ROOT.certificate], NOW)


class Room:
    """The room of certificates on a folder."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.events: list[SecurityEvent] = []
        self.config = OcppConfig(**{"serial_number": "SN-1", "cpo_name": "operator", "security_profile": 3} | settings)
        listeners = Listeners(lambda event, text: self.events.append(event), lambda: None)
        self.made = Certificates(KeptFile(folder / "roots.json"), folder / "keys", lambda: self.config, listeners)

    def call(self, action: str, now: float = NOW, **payload: Any) -> Any:
        return self.made.handlers()[action](payload, int(now))

    def install(self, authority: Authority, kind: str = CSMS_ROOT) -> Any:
        return self.call("InstallCertificate", certificateType=kind, certificate=authority.pem)["status"]

    def ids(self, kind: str = CSMS_ROOT) -> Any:
        return self.call("GetInstalledCertificateIds", certificateType=kind)

    def delete(self, authority: Authority) -> Any:
        return self.call(
            "DeleteCertificate", certificateHashData=certificates.hash_data(Root(authority.certificate, authority.certificate))
        )["status"]


def test_roots_are_installed_listed_and_deleted_until_the_store_is_full(tmp_path: Path) -> None:
    room = Room(tmp_path, certificate_store_max_length=2)
    assert room.ids() == {"status": "NotFound"}
    assert [room.install(ROOT), room.install(ROOT), room.install(NEXT, MANUFACTURER_ROOT), room.install(STRANGER)] == [
        "Accepted",
        "Accepted",
        "Accepted",
        "Rejected",
    ]
    room = Room(tmp_path, certificate_store_max_length=2)
    assert [len(room.ids(kind)["certificateHashData"]) for kind in (CSMS_ROOT, MANUFACTURER_ROOT)] == [1, 1]
    assert [room.delete(authority) for authority in (STRANGER, ROOT, NEXT)] == ["NotFound", "Failed", "Accepted"]


def test_only_the_root_that_the_connection_rests_on_stays(tmp_path: Path) -> None:
    room = Room(tmp_path)
    assert [room.install(authority) for authority in (ROOT, NEXT)] == ["Accepted", "Accepted"]
    assert room.delete(NEXT) == "Failed"  # Nothing tells which of them it is.
    room.made.peer = certificates.parse(ROOT.sign(CSR))[0]
    assert [room.delete(authority) for authority in (ROOT, NEXT)] == ["Failed", "Accepted"]


def test_a_root_that_replaces_another_is_signed_by_it_and_the_old_one_goes_when_it_is_proven(tmp_path: Path) -> None:
    room = Room(tmp_path, additional_root_certificate_check=True)
    assert [room.install(authority) for authority in (ROOT, NEXT, CROSS_SIGNED)] == ["Accepted", "Rejected", "Accepted"]
    assert [room.made.trusted(old) for old in (True, False)] == [(ROOT.certificate,), (CROSS_SIGNED.certificate,)]
    room.made.on_proven()
    assert Room(tmp_path, additional_root_certificate_check=True).made.roots() == (CROSS_SIGNED.certificate,)


def signed(room: Room, authority: Authority, **times: timedelta) -> Any:
    chain = authority.sign(str(room.made.request().payload["csr"]), **times)
    return room.call("CertificateSigned", certificateChain=chain)["status"]


def test_the_newest_certificate_that_is_valid_counts_and_is_renewed_in_time(tmp_path: Path) -> None:
    room = Room(tmp_path)
    assert room.call("CertificateSigned", certificateChain=ROOT.sign(CSR))["status"] == "Rejected"
    assert room.install(ROOT) == "Accepted"
    assert signed(room, ROOT) == "Accepted"
    assert signed(room, ROOT, begin=timedelta(days=10)) == "Accepted"
    assert [len(room.made.identities(NOW + day * 86400)) for day in (1, 11, 400)] == [1, 2, 0]
    newest = room.made.identities(NOW + 11 * 86400)[0]
    assert certificates.starts(newest.certificate) > NOW + 9 * 86400
    assert [room.made.renewal_due(NOW + day * 86400) for day in (0, 344, 346)] == [False, False, True]
    assert len(room.made.identities(NOW + 11 * 86400)) == 1  # What was replaced a month ago is gone.
    assert signed(room, STRANGER) == "Rejected"
    assert room.events[-1] == SecurityEvent.INVALID_STATION_CERTIFICATE


def test_a_file_of_roots_counts_until_one_is_installed(tmp_path: Path) -> None:
    (tmp_path / "given.pem").write_text(ROOT.pem)
    room = Room(tmp_path, csms_root_file=str(tmp_path / "given.pem"))
    assert room.made.roots() == (ROOT.certificate,)
    with pytest.raises(ValueError, match=r"csms_root_file: .*missing\.pem"):
        Room(tmp_path, csms_root_file=str(tmp_path / "missing.pem"))


CONFIG = OcppConfig(url="ws://host:80/ocpp/", charge_point_id="A/1", authorization_key="00" * 16)


@pytest.mark.parametrize(
    ("profile", "wanted", "installed", "accepted"),
    [
        (0, 1, Installed(), True),
        (1, 1, Installed(), False),
        (1, 2, Installed(), False),
        (1, 2, Installed(root=True), True),
        (2, 3, Installed(root=True), False),
        (2, 3, Installed(root=True, certificate=True), True),
        (3, 2, Installed(root=True, certificate=True), False),
    ],
)
def test_a_profile_goes_upwards_and_only_with_what_it_needs(profile: int, wanted: int, installed: Installed, accepted: bool) -> None:
    config = OcppConfig(security_profile=profile, authorization_key="x")
    assert (profile_refusal(config, wanted, installed) == "") == accepted


def test_address_and_headers_follow_from_the_profile() -> None:
    assert address(CONFIG) == "ws://host:80/ocpp"
    tls = OcppConfig(url="ws://host/ocpp", charge_point_id="A", security_profile=2)
    assert address(tls) == "wss://host/ocpp"
    assert address(OcppConfig(url="ws://host", secure_url="wss://other:9", charge_point_id="A", security_profile=3)) == "wss://other:9"
    assert headers(CONFIG) == {"Authorization": "Basic QS8xOgAAAAAAAAAAAAAAAAAAAAA="}
    assert headers(OcppConfig(authorization_key="x", security_profile=3)) == headers(OcppConfig()) == {}
    assert (password("secret"), password("ff" * 16), password("ff" * 15)) == (b"secret", b"\xff" * 16, b"ff" * 15)
    assert "AuthorizationKey" in missing(OcppConfig(security_profile=1), Installed())


def test_every_third_try_takes_the_way_before_a_change() -> None:
    assert [takes_old(failures) for failures in range(7)] == [False, False, False, True, False, False, True]


def test_only_repetitions_of_an_event_are_left_out() -> None:
    repeats, event = Repeats(), SecurityEvent.INVALID_MESSAGES
    asked = [("a", 0.0), ("a", REPEAT - 1.0), ("b", REPEAT - 1.0), ("a", REPEAT), ("a", REPEAT + 1.0)]
    assert [repeats.is_one(event, text, now) for text, now in asked] == [False, True, False, False, True]
    assert not any(repeats.is_one(SecurityEvent.RESET, "", 0.0) for _ in range(3))
    flood = [repeats.is_one(event, str(number), REPEAT + 1.0) for number in range(200)]
    assert 90 < flood.index(True) <= 100
    assert len(notification(event, 0.0, "x" * 999).payload["techInfo"]) == 255


def test_the_security_log_is_bounded_and_forgets_nobody_waiting_within_it(tmp_path: Path) -> None:
    log = SecurityLog(tmp_path / "log.sqlite")
    log._db.execute("PRAGMA synchronous = OFF")
    for number in range(KEPT + 10):
        log.add("X", float(number), "", waiting=number in (5, 20))
    assert len(list(log.between(0.0, 1e9))) == KEPT
    first = log.first_waiting()
    assert first is not None
    assert first.at == 20.0
    log.heard(first.number)
    log.close()
    again = SecurityLog(tmp_path / "log.sqlite")
    assert again.first_waiting() is None
    again.close()
