"""Firmware, logs and diagnostics against the CSMS simulator and servers for files on loopback, without ROS."""

import base64
import io
import json
import ssl
import tarfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fake_evse import wait_for
from file_servers import Files, serving
from ocpp_local import LocalBench, LocalCsms

from evse_core.ocpp16_certificates import MANUFACTURER_ROOT, request
from evse_core.ocpp16_requests import SetAvailability
from evse_nodes.file_transfer import Failure, TransferFailed, Watch, download, upload
from evse_simulators.csms_authority import Authority

IMAGE = bytes(range(256)) * 1000
TLS = ssl.create_default_context()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[LocalBench]:
    made = LocalBench(tmp_path)
    yield made
    made.end()


@pytest.fixture(params=["http", "ftp"])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, Files]]:
    with serving(request.param) as made:
        yield made


@pytest.fixture
def web() -> Iterator[tuple[str, Files]]:
    with serving("http") as made:
        yield made


def watch(most: int = 10**9) -> Watch:
    return Watch(threading.Event(), most)


def test_a_download_that_was_cut_off_goes_on_where_it_ended(server: tuple[str, Files], tmp_path: Path) -> None:
    (url, files), path = server, tmp_path / "image"
    files.content["/a.bin"], files.cuts = IMAGE, 1
    with pytest.raises(TransferFailed):
        download(f"{url}/a.bin", path, watch(), TLS)
    download(f"{url}/a.bin", path, watch(), TLS)
    assert path.read_bytes() == IMAGE
    assert files.begins == [0, len(IMAGE) // 2]


def test_a_file_is_put_where_the_address_says(server: tuple[str, Files], tmp_path: Path) -> None:
    (url, files), path = server, tmp_path / "log.txt"
    path.write_bytes(IMAGE)
    upload(path, f"{url}/logs/", watch(), TLS)
    upload(path, f"{url}/other", watch(), TLS)
    assert files.content == {"/logs/log.txt": IMAGE, "/other": IMAGE}


def test_user_and_password_of_the_address_are_given(server: tuple[str, Files], tmp_path: Path) -> None:
    (url, files), path = server, tmp_path / "log"
    path.write_text("x")
    upload(path, f"{url.replace('://', '://me:my%40secret@')}/log", watch(), TLS)
    assert files.content == {"/log": b"x"}
    assert files.password in ("my@secret", "Basic " + base64.b64encode(b"me:my@secret").decode())


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "gopher://x/y", "nonsense", "http://", "http://a b/", "http://h:0/x", "ftp://h\r\nx/"]
)
def test_an_address_that_is_none_is_refused_at_once(url: str, tmp_path: Path) -> None:
    with pytest.raises(TransferFailed) as caught:
        download(url, tmp_path / "x", watch(), TLS)
    assert not caught.value.repeatable
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(("scheme", "refused"), [("http", "403"), ("ftp", "530")])
def test_who_may_not_is_told_so(scheme: str, refused: str, tmp_path: Path) -> None:
    with serving(scheme) as (url, files):
        files.refused = refused
        (tmp_path / "log").write_text("x")
        with pytest.raises(TransferFailed) as caught:
            upload(tmp_path / "log", f"{url}/log", watch(), TLS)
        assert caught.value.kind == Failure.FORBIDDEN


def test_a_file_that_is_too_large_is_not_taken(server: tuple[str, Files], tmp_path: Path) -> None:
    url, files = server
    files.content["/a.bin"] = IMAGE
    with pytest.raises(TransferFailed, match="larger than 1000 B"):
        download(f"{url}/a.bin", tmp_path / "x", watch(1000), TLS)


def soon(seconds: float = 0.0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def told(csms: LocalCsms, action: str = "FirmwareStatusNotification") -> list[str]:
    return [item["status"] for item in csms.notices(action)]


def installer(folder: Path, code: int = 0) -> str:
    script = folder / "install.sh"
    script.write_text(f'#!/bin/sh\ncp "$1" "{folder}/installed"\necho bad news\nexit {code}\n')
    script.chmod(0o755)
    return str(script)


def begin(bench: LocalBench, **parameters: Any) -> LocalCsms:
    csms = bench.csms()
    bench.start(csms.url, **parameters)
    bench.until_registered()
    return csms


def update(csms: LocalCsms, location: str, **more: Any) -> Any:
    return csms.call("UpdateFirmware", location=location, retrieveDate=soon(), retries=2, retryInterval=0, **more)


def test_an_update_is_fetched_waits_for_the_session_and_is_installed(bench: LocalBench, web: tuple[str, Files], tmp_path: Path) -> None:
    (url, files), evse = web, bench[1]
    files.content["/fw.bin"], files.cuts = IMAGE, 1
    csms = begin(bench, firmware_install_command=installer(tmp_path))
    record = evse.begin("s-1")
    wait_for(csms.transactions, "the session")
    assert update(csms, f"{url}/fw.bin") == {}
    wait_for(lambda: told(csms) == ["Downloading", "Downloaded"], "the download")
    time.sleep(0.6)
    assert not (tmp_path / "installed").exists()
    evse.finish(record, 1.0)
    wait_for(lambda: told(csms)[2:] == ["Installing", "Installed"], "the installation")
    assert (tmp_path / "installed").read_bytes() == IMAGE
    wait_for(lambda: evse.requests[-1:] == [SetAvailability(1, True)], "service again")
    assert evse.requests == [SetAvailability(1, False), SetAvailability(1, True)]
    wait_for(lambda: "FirmwareUpdated" in csms.events(), "the event")
    for action in ("TriggerMessage", "ExtendedTriggerMessage"):
        assert csms.call(action, requestedMessage="FirmwareStatusNotification") == "Accepted"
    wait_for(lambda: told(csms)[-1] == "Idle" and told(csms, "SignedFirmwareStatusNotification") == ["Idle"], "both triggered messages")


@pytest.mark.parametrize("code", [None, 3])
def test_what_cannot_be_installed_is_told(
    bench: LocalBench, web: tuple[str, Files], tmp_path: Path, caplog: pytest.LogCaptureFixture, code: int | None
) -> None:
    url, files = web
    files.content["/fw.bin"] = IMAGE
    csms = begin(bench, firmware_install_command="" if code is None else installer(tmp_path, code))
    update(csms, f"{url}/fw.bin")
    wait_for(lambda: told(csms)[2:] == ["Installing", "InstallationFailed"], "the failure")
    assert ("no ocpp_uplink.firmware_install_command" if code is None else "ended with 3: bad news") in caplog.text


def test_a_download_that_never_works_and_a_time_to_come(bench: LocalBench, web: tuple[str, Files]) -> None:
    url, files = web
    csms = begin(bench)
    update(csms, f"{url}/none.bin")
    wait_for(lambda: told(csms) == ["Downloading", "DownloadFailed"], "the failure")
    assert csms.call("UpdateFirmware", location=f"{url}/x", retrieveDate="soon") == "PropertyConstraintViolation"
    csms.call("UpdateFirmware", location=f"{url}/fw.bin", retrieveDate=soon(1.5))
    files.content["/fw.bin"] = IMAGE
    bench.start(csms.url)  # The order outlives a restart.
    bench.until_registered()
    assert len(told(csms)) == 2
    wait_for(lambda: told(csms)[2:4] == ["Downloading", "Downloaded"], "the download at its time")


def test_a_signed_firmware_is_installed_only_with_its_makers_signature(bench: LocalBench, web: tuple[str, Files], tmp_path: Path) -> None:
    (url, files), maker, key = web, Authority("maker"), ec.generate_private_key(ec.SECP256R1())
    files.content["/fw.bin"] = IMAGE
    csms = begin(bench, firmware_install_command=installer(tmp_path))
    good = {
        "location": f"{url}/fw.bin",
        "retrieveDateTime": soon(),
        "signingCertificate": maker.sign(request(key, "signer", "maker")),
        "signature": base64.b64encode(key.sign(IMAGE, ec.ECDSA(hashes.SHA256()))).decode(),
    }

    def order(number: int, **changes: str) -> Any:
        return csms.call("SignedUpdateFirmware", requestId=number, firmware=good | changes, retries=0)

    def stages(number: int) -> list[str]:
        return [item["status"] for item in csms.notices("SignedFirmwareStatusNotification") if item["request_id"] == number]

    assert order(1) == "InvalidCertificate"
    assert csms.call("InstallCertificate", certificateType=MANUFACTURER_ROOT, certificate=maker.pem) == "Accepted"
    assert update(csms, f"{url}/fw.bin") == "NotSupported"
    assert order(2, signature=base64.b64encode(key.sign(b"other", ec.ECDSA(hashes.SHA256()))).decode()) == "Accepted"
    wait_for(lambda: stages(2) == ["Downloading", "Downloaded", "InvalidSignature"], "the refusal")
    assert not (tmp_path / "installed").exists()
    assert order(3, retrieveDateTime=soon(60.0)) == "Accepted"
    assert order(4) == "AcceptedCanceled"
    wait_for(lambda: stages(4) == ["Downloading", "Downloaded", "SignatureVerified", "Installing", "Installed"], "the installation")
    assert stages(3) in ([], ["DownloadScheduled"])
    wait_for(
        lambda: {"InvalidFirmwareSigningCertificate", "InvalidFirmwareSignature", "FirmwareUpdated"} <= set(csms.events()), "the events"
    )


def test_logs_are_uploaded_and_told(bench: LocalBench, server: tuple[str, Files], tmp_path: Path) -> None:
    url, files = server
    (tmp_path / "data" / "log").mkdir(parents=True)
    (tmp_path / "data" / "log" / "ocpp_uplink.log").write_text("a line")
    csms = begin(bench)
    for number, kind in ((7, "SecurityLog"), (8, "DiagnosticsLog")):
        asked = {"logType": kind, "requestId": number, "log": {"remoteLocation": f"{url}/up/"}, "retries": 0}
        answer = csms.ask("call", charge_point="EVSE-1", action="GetLog", payload=asked)["payload"]
        assert answer["status"] == "Accepted"
        wait_for(
            lambda number=number: (
                [item["status"] for item in csms.notices("LogStatusNotification") if item["request_id"] == number]
                == ["Uploading", "Uploaded"]
            ),
            kind,
        )
        data = files.content["/up/" + answer["filename"]]
        if kind == "SecurityLog":
            assert json.loads(data.splitlines()[0])["type"] == "StartupOfTheDevice"
        else:
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                assert archive.getnames() == ["log/ocpp_uplink.log"]
    found = csms.call("GetDiagnostics", location=f"{url}/old/", retries=0)
    wait_for(lambda: told(csms, "DiagnosticsStatusNotification") == ["Uploading", "Uploaded"], "diagnostics")
    assert "/old/" + found["fileName"] in files.content
    assert csms.call("GetDiagnostics", location=f"{url}/old/", startTime=soon(3600.0)) == {}
    asked = {"logType": "SecurityLog", "requestId": 9, "log": {"remoteLocation": "gopher://x/y"}}
    assert csms.call("GetLog", **asked) == "Accepted"
    wait_for(lambda: told(csms, "LogStatusNotification")[-1] == "NotSupportedOperation", "the refusal")
    assert csms.call("TriggerMessage", requestedMessage="DiagnosticsStatusNotification") == "Accepted"
    wait_for(lambda: told(csms, "DiagnosticsStatusNotification")[-1] == "Idle", "the triggered message")
