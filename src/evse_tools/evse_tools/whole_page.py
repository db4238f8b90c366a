"""The frame of an HTML page that needs nothing from elsewhere: head, style, and a body that is HTML already."""

from html import escape

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 1200px; padding: 0 1rem; color: #1a1a1a; background: #fff; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ddd; vertical-align: top; }
th { font-weight: 600; color: #555; } .tiles { display: flex; flex-wrap: wrap; gap: 1rem; }
.tiles div { border: 1px solid #ccc; border-radius: 6px; padding: .7rem 1.2rem; } .tiles b { display: block; font-size: 1.5rem; }
.bar { display: inline-block; height: .8rem; background: #a02020; } .bar.good { background: #8a8a8a; }
.wrong { color: #a02020; font-weight: 600; }
"""


def page(title: str, body: str) -> str:
    """Return a whole page; `body` is HTML."""
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body><h1>{escape(title)}</h1>{body}</body></html>\n'
