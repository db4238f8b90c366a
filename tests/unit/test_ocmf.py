"""OCMF records: made, signed, taken apart, and what a check program finds in them (can.md 7.1)."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from evse_core.ocmf import Clock, Gateway, Mark, MeterState, Reading, User, parse, parse_time, payload, time_text
from evse_core.ocmf_check import check, check_row
from evse_core.ocmf_signature import CURVES, public_key, public_text, signed

KEY = ec.derive_private_key(0x1234567890ABCDEF, ec.SECP256R1())
PUBLIC = KEY.public_key()
OTHER = ec.derive_private_key(0xFEDCBA0987654321, ec.SECP256R1()).public_key()
GATEWAY = Gateway("ros2_evse", "0001", "0.1.0", "ros2_evse", "power_link", "M-1", "1", "DE*ABC*E0001")
USER = User(True, "TRUSTED", ("RFID_PLAIN", "OCPP_RS"), "ISO14443", "DEADBEEF")
START = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
BEGIN = Reading(START, Mark.BEGIN, 10_000.0, Clock.SYNCHRONISED)
END = Reading(START + timedelta(minutes=20), Mark.END, 22_350.0, Clock.SYNCHRONISED)


def record(*readings: Reading, pagination: str = "T7", gateway: Gateway = GATEWAY) -> str:
    return signed(payload(gateway, pagination, USER, readings or (BEGIN, END)), KEY)


def remade(text: str, key: ec.EllipticCurvePrivateKey = KEY, **fields: object) -> str:
    """Return a record with other fields in its payload, signed anew; a field that is None is left out."""
    found = json.loads(text.split("|")[1])
    found = {name: value for name, value in (found | fields).items() if value is not None}
    return signed(json.dumps(found), key)


def test_a_record_says_what_went_in_and_holds() -> None:
    verdict = check(record(), PUBLIC, "M-1")
    assert (verdict.errors, verdict.notes) == ((), ())
    assert (verdict.energy_wh, verdict.pagination, verdict.meter) == (Decimal("12350.000"), "T7", "M-1")
    assert (verdict.begin, verdict.end) == (BEGIN.when, END.when)


def test_the_payload_is_in_the_order_of_the_format_with_the_decimals_of_the_register() -> None:
    text = payload(GATEWAY, "T7", USER, (BEGIN, END))
    assert list(json.loads(text)) == ["FV", "GI", "GS", "GV", "PG", "MV", "MM", "MS", "MF", "IS", "IL", "IF", "IT", "ID", "CT", "CI", "RD"]
    assert '"RV":10.000,"RI":"01-00:B1.08.00*FF","RU":"kWh","RT":"DC","EF":"","ST":"G"}' in text
    assert '"TM":"2026-11-21T10:00:00,000+0000 S"' in text


def test_the_same_payload_gives_the_same_record() -> None:
    assert record() == record()


@given(st.data())
def test_no_character_of_a_record_can_be_changed(data: st.DataObject) -> None:
    text = record()
    end = text.rindex("|")
    place = data.draw(st.integers(5, end - 1))
    other = data.draw(st.characters(codec="ascii", exclude_characters=text[place] + "|"))
    assert not check(text[:place] + other + text[place + 1 :], PUBLIC).holds


@given(st.text(max_size=40), st.text(max_size=300))
def test_whatever_a_user_is_called_the_record_holds(identification: str, tariff: str) -> None:
    user = replace(USER, identification=identification.encode("utf-8", "ignore").decode(), tariff=tariff.encode("utf-8", "ignore").decode())
    text = signed(payload(GATEWAY, "T1", user, (BEGIN, END)), KEY)
    assert check(text, PUBLIC).holds
    assert parse(text).fields["ID"] == user.identification


@given(st.floats(0.0, 1e9))
def test_a_register_is_written_with_its_decimals_and_read_back(energy_wh: float) -> None:
    (reading,) = parse(record(replace(BEGIN, energy_wh=energy_wh))).readings
    assert abs(float(reading["RV"]) * 1000.0 - energy_wh) <= 0.5 + 1e-6 * energy_wh
    assert reading["RV"].as_tuple().exponent == -3


def test_a_record_made_elsewhere_holds() -> None:
    """A published example with its key: README of road-labs/ocmf-js."""
    key = (
        "3059301306072A8648CE3D020106082A8648CE3D03010703420004EF1766AFD940A49FBA863779837F394EB053BF87DB529DE69FDDE8B32485D7AD"
        "715CD8F291656B1DEAA29337A65E4B1B7F9F2808E4E53019B867D4C9294948C9"
    )
    text = (
        'OCMF|{"FV":"1.0","GI":"TEST","GS":"1234567","GV":"1.0.0","PG":"T1","MV":"MV","MM":"MM","MS":"1234567","MF":"1.0","IS":true,"IL":"VERIFIED",'
        '"IF":["RFID_PLAIN","OCPP_RS_TLS"],"IT":"ISO14443","ID":"2AB46E883AD3BB","CI":"CSONE","CT":"CBIDC","RD":['
        '{"TM":"2025-06-14T08:49:47,642+0100 S","TX":"B","RV":0.56698,"RI":"1-b","RU":"kWh","EI":1523,"ST":"G"},'
        '{"TM":"2025-06-14T11:49:47,642+0100 S","TX":"E","RV":8.36706,"RI":"1-b","RU":"kWh","EI":1523,"ST":"G"}]}'
        '|{"SA":"ECDSA-secp256r1-SHA256","SD":"3045022100DB41C0B8AC1580F274574DC8A5C9AD856C1A4B0D5BF2252D119F55202E363968022053BD9DBE36DF6EF1F712C76A0E12F8'
        '0E8B7E614683375C046371871E128B9BA3"}'
    )
    verdict = check(text, public_key(key), "1234567")
    assert verdict.errors == ()
    assert verdict.energy_wh == Decimal("7800.08000")
    assert not check(text.replace("8.36706", "8.36707"), public_key(key)).holds


@pytest.mark.parametrize("name", [name for name in CURVES if "192" not in name])
def test_every_curve_of_the_format_is_checked(name: str) -> None:
    key = ec.generate_private_key(CURVES[name]())
    body = payload(GATEWAY, "T1", USER, (BEGIN, END))
    signature = key.sign(body.encode(), ec.ECDSA(hashes.SHA256())).hex()
    assert check(f'OCMF|{body}|{{"SA":"{name}","SD":"{signature}"}}', key.public_key()).holds


WRONG = [
    ("", "is no record"),
    ("OCMF|{}", "is no record"),
    ("XCMF|{}|{}", "is no record"),
    ("OCMF|no|{}", "payload: is no JSON"),
    ("OCMF|[]|{}", "payload: is no JSON object"),
    ("OCMF|{}|5", "signature: is no JSON object"),
    ('OCMF|{"RD":5}|{}', "RD is no list"),
    ("OCMF|" + "[" * 100_000 + "|{}", "payload: is no JSON"),
    (remade(record(), PG=None), "PG is missing"),
    (remade(record(), PG="X5"), "neither T nor F"),
    (remade(record(), MS=None, GS=None), "serial number"),
    (remade(record(), RD=[]), "no reading"),
    (record(END, BEGIN), "is before the reading before it"),
    (record(END, BEGIN), "the begin (B) is not the first"),
    (record(BEGIN, END, replace(END, mark=Mark.CHARGING)), "the end"),
    (record(BEGIN, BEGIN, END), "there are several"),
    (record(BEGIN, replace(END, energy_wh=9_999.0)), "the register fell"),
    (record(BEGIN, replace(END, unusable="E")), "the energy is marked as unusable"),
    (record().replace('"SD":"', '"SM":"text/plain","SD":"'), "form 'text/plain'"),
    (record().replace('"SD":"', '"SE":"base32","SD":"'), "neither hex nor base64"),
    (record().replace('"SD":"3', '"SD":"z'), "SD is not hex"),
    (record().replace("secp256r1", "secp192k1"), "is not supported"),
    (record().replace("secp256r1", "secp384r1"), "the public key is of curve"),
]


@pytest.mark.parametrize(("text", "words"), WRONG, ids=[words for _, words in WRONG])
def test_what_is_wrong_is_said_in_words(text: str, words: str) -> None:
    assert any(words in error for error in check(text, PUBLIC).errors)


def test_another_key_another_meter_and_no_key_are_errors() -> None:
    assert "another key signed it" in check(record(), OTHER).errors[0]
    assert "serial number is 'M-1', expected 'M-2'" in check(record(), PUBLIC, "M-2").errors[0]
    assert "no public key" in check(record()).errors[0]


NOTED = [
    (replace(END, mark=Mark.POWER_FAILURE), "power failure"),
    (replace(END, state=MeterState.TIMEOUT), "timeout"),
    (replace(END, clock=Clock.INFORMATIVE), "not synchronised"),
    (replace(END, unusable="t"), "time is marked as unusable"),
]


@pytest.mark.parametrize(("end", "words"), NOTED, ids=[words for _, words in NOTED])
def test_what_is_to_be_known_is_a_note_and_no_error(end: Reading, words: str) -> None:
    verdict = check(record(BEGIN, end), PUBLIC)
    assert verdict.holds
    assert any(words in note for note in verdict.notes)


def test_a_reading_takes_over_what_it_leaves_out() -> None:
    body = json.loads(payload(GATEWAY, "T1", USER, (BEGIN, END)))
    body["RD"][1] = {"TM": body["RD"][1]["TM"], "TX": "E", "RV": 22.35, "EF": "", "ST": "G"}
    verdict = check(signed(json.dumps(body), KEY), PUBLIC)
    assert (verdict.errors, verdict.energy_wh) == ((), Decimal("12350.00"))


def test_a_row_of_records_has_no_gaps_and_one_meter() -> None:
    rows = [record(pagination=f"T{number}") for number in (1, 2, 3)]
    assert check_row([*rows, record(pagination="F1"), record(pagination="T4"), record(pagination="F2")]) == []
    assert "T2 is missing" in check_row([rows[0], rows[2]])[0]
    assert "comes again, or out of order" in check_row([rows[0], rows[0]])[0]
    assert "several meters" in check_row([rows[0], record(pagination="T2", gateway=replace(GATEWAY, meter_serial="M-2"))])[0]


def test_public_keys_are_read_in_all_usual_forms() -> None:
    pem = PUBLIC.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    base64 = "".join(pem.splitlines()[1:-1])
    assert {public_text(public_key(form)) for form in (pem, base64, public_text(PUBLIC), public_text(PUBLIC).lower())} == {
        public_text(PUBLIC)
    }


def test_what_is_no_public_key_is_said_so() -> None:
    other = rsa.generate_private_key(65537, 2048).public_key()
    pem = other.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    for text in ("", "00", "no key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", pem):
        with pytest.raises(ValueError, match="is no public key"):
            public_key(text)


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=2)), timezone(-timedelta(hours=3, minutes=30))])
def test_times_keep_their_zone_and_the_state_of_the_clock(zone: timezone) -> None:
    when = datetime(2026, 3, 29, 1, 59, 59, 123_000, zone)
    assert parse_time(time_text(when, Clock.RELATIVE)) == (when, Clock.RELATIVE)


def test_a_time_without_zone_and_a_strange_extension_are_refused() -> None:
    with pytest.raises(ValueError, match="needs a zone"):
        time_text(datetime(2026, 1, 1), Clock.UNKNOWN)  # noqa: DTZ001 that is what is tested
    with pytest.raises(ValueError, match="begin with U to Z"):
        payload(GATEWAY, "T1", USER, (BEGIN,), {"AB": "1"})
    assert parse(signed(payload(GATEWAY, "T1", USER, (BEGIN,), {"XC": "abc"}), KEY)).fields["XC"] == "abc"
