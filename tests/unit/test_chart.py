"""The chart: a PNG of the promised size, every line and band in it."""

import struct
from math import nan
from pathlib import Path

import pytest

from evse_tools.chart import Band, Series, bands, draw, size, span

STATES = (("PREPARING", -3.0), ("LOCKING", 0.0), ("CABLE_CHECK", 1.5), ("CHARGING", 6.0), ("FINISHED", 30.0))


def series(count: int, **changes: object) -> Series:
    time = [number * 0.1 for number in range(count)]
    values: dict[str, object] = {
        "title": "EVSE 1",
        "time": time,
        "voltage": [400.0 + t for t in time],
        "current": [min(125.0, 20.0 * t) for t in time],
        "soc_percent": [nan, *(20.0 + 0.1 * t for t in time[1:])] if time else [],
        "states": STATES,
    }
    return Series(**(values | changes))  # type: ignore[arg-type]


def png_size(path: Path) -> tuple[int, int]:
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:])
    return width, height


@pytest.mark.parametrize("count", [1, 3])
def test_the_chart_of_some_evses_is_a_png_of_the_promised_size(count: int, tmp_path: Path) -> None:
    draw([series(300)] * count, tmp_path / "chart.png", "title")
    assert png_size(tmp_path / "chart.png") == size(count)


@pytest.mark.parametrize(
    "one",
    [
        series(0, states=()),
        series(1),
        series(50, voltage=[nan] * 50, current=[nan] * 50, soc_percent=[nan] * 50),
        series(50, marks=[(f"event {number}", 0.3 * number) for number in range(12)]),
        series(50, current=[-20.0] * 50),
    ],
    ids=["nothing", "one_point", "unknown", "many_marks", "reverse_current"],
)
def test_what_was_not_seen_still_gives_a_chart(one: Series, tmp_path: Path) -> None:
    draw([one], tmp_path / "chart.png", "title")
    assert png_size(tmp_path / "chart.png") == size(1)


def test_lines_are_in_the_picture(tmp_path: Path) -> None:
    draw([series(300)], tmp_path / "full.png", "title")
    draw([series(300, voltage=[nan] * 300)], tmp_path / "less.png", "title")
    assert (tmp_path / "full.png").read_bytes() != (tmp_path / "less.png").read_bytes()


def test_no_series_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one"):
        draw([], tmp_path / "chart.png", "title")


def test_bands_follow_each_other_without_gap_and_the_last_lasts_to_the_end() -> None:
    assert bands(STATES[2:], 40.0) == [Band("CABLE_CHECK", 1.5, 6.0), Band("CHARGING", 6.0, 30.0), Band("FINISHED", 30.0, 40.0)]
    assert bands((), 40.0) == []


def test_the_time_axis_holds_everything_that_was_seen() -> None:
    assert span(series(100, end=12.5)) == (-3.0, 30.0)
    assert span(series(0, states=())) == (0.0, 1.0)
