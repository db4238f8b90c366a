"""Sheet, comparison and page over many sessions: what they show, what they refuse."""

import json
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from story_rig import charged

from evse_core.session_report import report
from evse_core.session_story import Story
from evse_core.types import ChargeState, SessionState
from evse_tools import bag_analyze, compare, compare_plot, report_page, sheet
from evse_tools.bag_reader import BagError
from evse_tools.chart import Band, draw_bands
from evse_tools.compare import differences
from evse_tools.compare_plot import draw as draw_both
from evse_tools.report_page import Seen, body
from evse_tools.session_text import choose
from evse_tools.sheet import draw, first_fault, mark


def bare() -> Story:
    """A driver who plugs in and leaves: no curve has a point."""
    return Story(1, 10.0, 14.0, states=[(ChargeState.PREPARING, 10.0), (ChargeState.AVAILABLE, 14.0)])


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw with few pixels: what is drawn is the same."""
    for module in (sheet, compare_plot):
        monkeypatch.setattr(module, "DPI", 30)


@pytest.mark.parametrize("story", [charged, lambda: charged("pilot"), lambda: charged(fault="vehicle_silent"), bare])
def test_a_sheet_is_drawn_of_every_session_and_is_the_same_each_time(story: object, tmp_path: Path) -> None:
    made = story()  # type: ignore[operator]
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    for path in (first, second):
        draw(made, path, "recording")
    assert first.read_bytes()[:4] == b"\x89PNG"
    assert first.read_bytes() == second.read_bytes()


def test_a_sheet_may_be_a_page(tmp_path: Path) -> None:
    draw(charged(fault="vehicle_silent"), tmp_path / "a.pdf", "recording")
    assert (tmp_path / "a.pdf").read_bytes()[:5] == b"%PDF-"


def test_a_sheet_is_a_png_or_a_pdf(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a sheet is a \.png or a \.pdf"):
        draw(bare(), tmp_path / "a.jpg")


def test_what_went_wrong_is_named_however_short_it_was() -> None:
    axes = Figure().add_subplot()
    found = [Band("CHARGING", 0.0, 99.0), Band("EMERGENCY", 99.0, 99.1), Band("CLOSING", 99.1, 101.1), Band("FAULTED", 101.1, 101.2)]
    draw_bands(axes, found, 101.2)
    assert [text.get_text() for text in axes.texts] == ["charging", "emergency", "faulted"]


def test_the_fault_that_ended_a_session_is_marked_with_its_name() -> None:
    fault = first_fault(charged(fault="vehicle_silent"))
    assert fault is not None
    assert fault.fault == "vehicle_silent"
    assert first_fault(charged()) is None
    axes = Figure().subplots(2)
    mark(axes, 3.0, "vehicle silent", 10.0)
    assert [text.get_text() for axis in axes for text in axis.texts] == ["vehicle silent"]
    assert all(axis.lines[0].get_xdata()[0] == 3.0 for axis in axes)


def test_a_session_does_not_differ_from_itself() -> None:
    assert all(row.same for row in differences(charged(), charged()))


def test_what_differs_is_found_and_drawn(tmp_path: Path) -> None:
    good, broken = charged(), charged(fault="vehicle_silent")
    found = {row.what: row for row in differences(good, broken)}
    for what in ("outcome", "stop cause", "faults", "emergency", "finished"):
        assert not found[what].same, what
    assert found["cable check"].same
    assert found["outcome"].b == "broken off"
    assert found["finished"].b == ""
    draw_both(good, broken, tmp_path / "both.png", ("good", "broken"))
    assert (tmp_path / "both.png").read_bytes()[:4] == b"\x89PNG"


def test_the_commands_take_recordings_and_name_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in (bag_analyze, compare):
        monkeypatch.setattr(module, "stories", lambda path: [charged(), charged(fault="vehicle_silent"), charged()])
    plot = tmp_path / "sheet.png"
    assert bag_analyze.run(tmp_path, True, plot, 0) == 0
    found = json.loads(capsys.readouterr().out)
    assert [session["outcome"] for session in found["sessions"]] == ["complete", "broken_off", "complete"]
    assert found["sessions"][1]["gaps"][0]["part"] == "vehicle"
    assert plot.stat().st_size > 1000
    assert bag_analyze.run(tmp_path, False, None, 0) == 0
    assert "vehicle_silent" in capsys.readouterr().out
    assert compare.run((tmp_path, tmp_path), (1, 2), None, True) == 0
    assert json.loads(capsys.readouterr().out)["rows"]
    assert bag_analyze.run(tmp_path, False, None, 4) == 2
    assert compare.run((tmp_path, tmp_path), (9, 1), None, True) == 2
    assert "--session 4: it holds 3" in (words := capsys.readouterr().err)
    assert "--session 9: it holds 3" in words
    assert bag_analyze.run(tmp_path, False, tmp_path / "no" / "a.png", 0) == 2


def test_the_one_that_went_wrong_is_drawn_where_no_number_is_given() -> None:
    good, broken = charged(), charged(fault="vehicle_silent")
    assert choose(Path("x"), [good, broken, good], 0) is broken
    assert choose(Path("x"), [good, good], 0) is good
    with pytest.raises(BagError, match="holds no session"):
        choose(Path("x"), [], 0)


def seen(story: Story, name: str) -> Seen:
    return Seen(story, report(story), Path(name))


def test_a_page_counts_and_ranks_and_escapes() -> None:
    text = body(
        [seen(charged(), "a"), seen(charged(), "<script>"), seen(charged(fault="vehicle_silent"), "c"), seen(bare(), "d")], ["x <b> y"]
    )
    assert "<b>3</b>sessions" in text
    assert "<b>66.7 %</b>went well" in text
    assert "vehicle silent" in text
    assert "&lt;script&gt;" in text
    assert "<script>" not in text
    assert "x &lt;b&gt; y" in text
    assert text.count("not started") == 2


def test_a_page_of_nothing_is_a_page() -> None:
    assert "<b>0</b>sessions" in body([], [])


def test_a_report_names_what_it_cannot_read_and_refuses_an_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report_page.run(tmp_path, None, False) == 2
    assert report_page.run(tmp_path / "nowhere", None, False) == 2
    assert "holds neither a recording nor a CAN log" in (words := capsys.readouterr().err)
    assert "there is no such folder" in words
    for name in ("good", "broken"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metadata.yaml").touch()

    def read(path: Path) -> list[Story]:
        if path.name == "broken":
            raise BagError("broken: is damaged")
        return [charged(), charged(fault="vehicle_silent")]

    monkeypatch.setattr(report_page, "stories", read)
    assert report_page.run(tmp_path, None, True) == 0
    page = (tmp_path / "report.html").read_text()
    assert "broken: is damaged" in page
    assert len(list(tmp_path.glob("report_*_evse_1.png"))) == 1
    assert f'href="{next(tmp_path.glob("report_*.png")).name}"' in page
    assert report_page.run(tmp_path, tmp_path / "no" / "page.html", False) == 1


def test_a_replayed_session_that_has_recording_and_bus_log_is_counted_once(tmp_path: Path) -> None:
    line = "(1700000000.000000) vehicle 102#0100000000000000\n"
    for name in ("both", "alone"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "vehicle_bus.log").write_text(line)
    bag = tmp_path / "both" / "recordings" / "a"
    bag.mkdir(parents=True)
    (bag / "metadata.yaml").touch()
    (tmp_path / "both" / "another.log").write_text(line)
    found = {str(path.relative_to(tmp_path)) for path in report_page.recordings(tmp_path)}
    assert found == {"both/recordings/a", "both/another.log", "alone/vehicle_bus.log"}


def test_a_state_that_no_build_knows_is_no_reason_to_fail() -> None:
    story = Story(1, 0.0, 2.0, states=[(ChargeState.UNKNOWN, 0.0)], last=SessionState())
    assert report(story).furthest is ChargeState.UNKNOWN
