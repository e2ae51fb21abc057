"""Bars in SVG, to be read by day and by night: colours follow the reader's scheme, and nothing is loaded."""

from collections.abc import Sequence
from html import escape
from typing import Final

from bench.figures import Bar

_LABELS: Final = 360
_BARS: Final = 400
_LINE: Final = 28
_STYLE: Final = """
    svg { background: #ffffff }
    text { font: 13px system-ui, sans-serif; fill: #1f2328 }
    .title { font-weight: 600; font-size: 15px }
    .ours { fill: #6f42c1 } .other { fill: #9aa4af } .spread { stroke: #1f2328; stroke-width: 1.5 }
    @media (prefers-color-scheme: dark) {
      svg { background: #0d1117 }
      text { fill: #e6edf3 } .ours { fill: #a371f7 } .other { fill: #6e7681 } .spread { stroke: #e6edf3 }
    }"""


def chart(title: str, bars: Sequence[Bar]) -> str:
    """A bar for each median, and a line from the lowest to the highest."""
    most = max((bar.spread.high for bar in bars), default=1) or 1
    width, height = _LABELS + _BARS + 90, 44 + _LINE * len(bars)
    drawn = "".join(_bar(bar, 40 + _LINE * number, _BARS / most) for number, bar in enumerate(bars))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' role="img" aria-label="{escape(_sentence(title, bars))}">\n  <style>{_STYLE}\n  </style>\n'
        f'  <text class="title" x="8" y="22">{escape(title)}</text>\n{drawn}</svg>\n'
    )


def _bar(bar: Bar, top: int, scale: float) -> str:
    spread, middle = bar.spread, top + 9
    low, high = (_LABELS + value * scale for value in (spread.low, spread.high))
    return (
        f'  <text x="{_LABELS - 8}" y="{top + 14}" text-anchor="end">{escape(bar.label)}</text>\n'
        f'  <rect class="{"ours" if bar.is_ours else "other"}" x="{_LABELS}" y="{top}"'
        f' width="{max(spread.median * scale, 1):.1f}" height="18" rx="2"/>\n'
        f'  <line class="spread" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>\n'
        f'  <text x="{high + 8:.1f}" y="{top + 14}">{spread.median:,.0f}</text>\n'
    )


def _sentence(title: str, bars: Sequence[Bar]) -> str:
    return f"{title}: " + ", ".join(f"{bar.label} {bar.spread.median:,.0f}" for bar in bars)
