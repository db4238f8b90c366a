"""The PDF of a receipt says what the text says, is the same each time, and is made by the command."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from pypdf import PdfReader
from test_receipt import CONFIG, RECEIPT, RECORD
from typer.testing import CliRunner

from evse_core.evidence import Proof
from evse_core.ocmf import Mark
from evse_core.receipt import Receipt
from evse_core.session_readings import SessionReading, begin_reading
from evse_core.tariff import Tariff
from evse_tools import receipt_pdf
from evse_tools.commands import app

TARIFF = Tariff("EUR", "0.49", name="day", price_per_minute="0.02", tax_percent="19", maximum="60")
PRICED = replace(RECORD, tariff=TARIFF.text(), cost=665, tax=106, charging_time=1800.0)
FULL = Receipt(
    PRICED,
    77,
    CONFIG,
    RECEIPT.zone,
    (begin_reading(PRICED, TARIFF.phase(PRICED.begin, RECEIPT.zone).text()),),
    Proof("T8", 'OCMF|{}|{"SD":"3045022100ABCDEF0123456789ABCDEF0123456789ABCDEF"}', "3059301306072A8648CE3D0201"),
)


def printed(receipt: Receipt) -> tuple[str, bytes]:
    made = receipt_pdf.made(json.loads(json.dumps(receipt.as_dict())))
    reader = PdfReader(io.BytesIO(made))
    assert len(reader.pages) == 1
    return " ".join(reader.pages[0].extract_text().split()), made


@pytest.mark.parametrize("receipt", [RECEIPT, FULL], ids=["simple", "full"])
def test_every_word_of_the_text_is_in_the_pdf(receipt: Receipt) -> None:
    text, _ = printed(receipt)
    for block in receipt.rows():
        for name, value in block:
            assert name in text
            # Long words (signatures) go on in the next line.
            assert value.replace(" ", "") in text.replace(" ", "")


def test_it_has_what_is_demanded_of_a_receipt() -> None:
    text, _ = printed(FULL)
    for words in (
        "12.346 kWh", "0.49 EUR/kWh", "30:00 min", "0.02 EUR/min", "6.65 EUR", "Tax 19 %", "1.06 EUR", "Net", "48.1 kW DC", "depot",
        "Example GmbH, Kassel", "2026-09-21T14:13:20+00:00", "T8", "./station records verify", FULL.proof.fingerprint[:32] if FULL.proof else "",
    ):  # fmt: skip
        assert words in text


def test_the_same_receipt_gives_the_same_bytes_and_another_one_does_not() -> None:
    assert printed(FULL)[1] == printed(FULL)[1]
    assert printed(FULL)[1] != printed(replace(FULL, transaction_id=78))[1]


def test_it_is_as_wide_as_a_strip_and_as_long_as_it_needs() -> None:
    page = PdfReader(io.BytesIO(printed(FULL)[1])).pages[0].mediabox
    assert float(page.width) == pytest.approx(80 / 25.4 * 72, abs=0.1)
    assert 80 < float(page.height) / 72 * 25.4 < 297


def test_names_beyond_latin_letters_are_printed() -> None:
    assert "\u0141\u00f3d\u017a" in printed(replace(RECEIPT, config=replace(CONFIG, place="\u0141\u00f3d\u017a")))[0]


def test_phases_of_prices_are_told_with_their_times() -> None:
    cheap = TARIFF.phase(0.0, RECEIPT.zone)
    begin = begin_reading(FULL.record, cheap.text())
    change = SessionReading(
        1, Mark.TARIFF_CHANGE, RECORD.begin + 600.0, 5000.4, 0.0, 600.0, 0.0, replace(cheap, tariff="night", price_per_kwh="0.30").text()
    )
    end = SessionReading(2, Mark.END, RECORD.end, RECORD.end_register_wh, 0.0, 1800.0, 0.0, change.phase)
    receipt = replace(FULL, readings=(begin, change, end))
    assert [phase["energy_kwh"] for phase in receipt.as_dict()["phases"]] == ["4.000", "8.346"]
    text, _ = printed(receipt)
    assert "night: 0.30 EUR/kWh" in text
    assert "2026-09-21T14:23:20+00:00" in text


def station(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["records", "receipt", *words])
    return result.exit_code, result.output


def test_the_command_shows_the_text_and_writes_the_pdf(tmp_path: Path) -> None:
    folder = tmp_path / "receipts"
    folder.mkdir()
    (folder / "s.json").write_text(json.dumps(FULL.as_dict()))
    (folder / "s.txt").write_text(FULL.text())
    assert station(str(tmp_path)) == (0, FULL.text())
    assert station(str(tmp_path), RECORD.session_id)[0] == 0
    assert station(str(tmp_path), "--pdf", str(tmp_path / "s.pdf"))[0] == 0
    assert (tmp_path / "s.pdf").read_bytes() == printed(FULL)[1]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"rows":[[1]],"end":"x","session_id":"s"}'])
def test_what_is_no_receipt_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "s.json").write_text(content)
    code, output = station(str(tmp_path / "s.json"), "--pdf", str(tmp_path / "s.pdf"))
    assert code == 2
    assert "records receipt: " in output
    assert station(str(tmp_path))[0] == 2
    (tmp_path / "receipts").mkdir()
    (tmp_path / "receipts" / "a.json").write_text("{}")
    assert station(str(tmp_path), "b")[0] == 2
