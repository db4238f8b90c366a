"""The receipt as PDF: one page of 80 mm, which fits a receipt printer and, as it is, a sheet of A4. The same receipt gives the same bytes.

Made from the JSON receipt when somebody asks for it: the process that meters does not load a PDF library, which takes a second and 50 MB.
Text in Latin-1 is set in the fonts that every reader has; where a name needs more, DejaVu Sans is embedded, which comes with matplotlib.
"""

from collections.abc import Mapping
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fpdf import FPDF
from fpdf.enums import XPos, YPos

# Paper of receipt printers, and what they cannot print on at each side. [mm]
WIDTH, MARGIN = 80.0, 4.0
# Width of the names, height of a line, of the title and of a gap between blocks. [mm]
_NAMES, _LINE, _TITLE, _GAP = 21.0, 3.4, 8.0, 2.0
# Sizes of letters: a line of 0.35 mm x 7 stays readable on thermal paper of 203 dpi. [pt]
_SIZE, _TITLE_SIZE = 7.0, 11.0
# More than any receipt needs; the page is then made as long as it came out. [mm]
_LONGEST = 5000.0


def made(receipt: Mapping[str, Any]) -> bytes:
    """Return the file for the JSON object of a receipt; KeyError, TypeError or ValueError where it is none."""
    _, height = _drawn(receipt, _LONGEST)
    page, _ = _drawn(receipt, height + MARGIN)
    return bytes(page.output())


def _drawn(receipt: Mapping[str, Any], height: float) -> tuple[FPDF, float]:
    """Return the document on a page of this height, and how much of it is used [mm]."""
    blocks = [[(str(name), str(value)) for name, value in block] for block in receipt["rows"]]
    pdf = FPDF(format=(WIDTH, height))
    pdf.set_creation_date(datetime.fromisoformat(receipt["end"]))
    pdf.set_title(f"Receipt {receipt['session_id']}")
    pdf.set_margins(MARGIN, MARGIN)
    pdf.set_auto_page_break(False)
    pdf.add_page()
    family = _family(pdf, "".join(name + value for block in blocks for name, value in block))
    pdf.set_font(family, size=_TITLE_SIZE)
    pdf.cell(h=_TITLE, text="Receipt", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.set_font(family, size=_SIZE)
    for block in blocks:
        pdf.line(MARGIN, pdf.get_y(), WIDTH - MARGIN, pdf.get_y())
        pdf.set_y(pdf.get_y() + _GAP / 2.0)
        for name, value in block:
            _row(pdf, name, value)
        pdf.set_y(pdf.get_y() + _GAP / 2.0)
    return pdf, pdf.get_y()


def _row(pdf: FPDF, name: str, value: str) -> None:
    top = pdf.get_y()
    pdf.multi_cell(_NAMES, _LINE, name, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    below = pdf.get_y()
    pdf.set_xy(MARGIN + _NAMES, top)
    pdf.multi_cell(WIDTH - 2.0 * MARGIN - _NAMES, _LINE, value, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.set_y(max(below, pdf.get_y()))


def _family(pdf: FPDF, text: str) -> str:
    """Return a font that has the letters of the text."""
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        pdf.add_font("DejaVu", fname=_dejavu())
        return "DejaVu"
    return "Helvetica"


def _dejavu() -> Path:
    """Return the font file of matplotlib, which is not imported for it."""
    found = find_spec("matplotlib")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
