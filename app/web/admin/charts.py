"""Charts of the overview, drawn here as SVG: each is an image of its own address, so that pages need no inline style.

pygal puts its style into the SVG, and by default a script from a foreign host, too. The script is taken out again, and
the image's own Content-Security-Policy lets nothing but the style work.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from app.context import Context
from app.operations import figures, overview
from app.operations.overview import Table
from app.operations.periods import Period, read_period
from app.web.admin.access import Viewer
from app.web.dependencies import OpenContext
from app.web.description import as_file

router = APIRouter(prefix="/charts")

Theme = Literal["light", "dark"]
Kind = Literal["Bar", "StackedBar", "Line"]
Size = Literal["wide", "narrow"]

SIZES: Final[dict[Size, tuple[int, int]]] = {"wide": (560, 240), "narrow": (330, 230)}
# In pixels: a letter, what stands left and right of the bars, a line of the legend, and a box in it with its room.
_LETTER: Final = 7.5
_MARGINS: Final = 75
_LEGEND_LINE: Final = 18
_LEGEND_BOX: Final = 23
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Cache-Control": "private, max-age=60",
}
_FONT: Final = 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif'
# Ink, lines, and colors that people with any kind of color vision tell apart, on the cards' two backgrounds.
_LIGHT: Final = ("#16211f", "#dfe6e3", ("#0f766e", "#c47a00", "#3d6fb6", "#7b4fa3", "#d1495b", "#5b7065"))
_DARK: Final = ("#e6eeeb", "#2a3532", ("#4fd1c0", "#f2c063", "#8db8f5", "#c9a3ee", "#ff8f8f", "#a9bbb3"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """How a table is drawn: which of its columns (None: all after the first), and what for people who do not see it."""

    kind: Kind
    alt: str
    columns: Sequence[int] | None = None


CHARTS: Final[dict[str, Chart]] = {
    "installs": Chart(kind="Bar", columns=(1, 2), alt="Bars: installs and removals"),
    "plans": Chart(kind="StackedBar", alt="Stacked bars: add-ons by plan"),
    "provisioning": Chart(kind="Line", columns=(2, 3), alt="Lines: seconds until add-ons were provisioned"),
    "pushes": Chart(kind="Bar", columns=(1,), alt="Bars: config pushes"),
}


@router.get("/{name}.svg", **as_file("image/svg+xml"))
async def image(
    request: Request,
    context: OpenContext,
    operator: Viewer,
    name: str,
    theme: Annotated[Theme, Query()] = "light",
    size: Annotated[Size, Query()] = "wide",
) -> Response:
    """One chart of the period that the address names."""
    if name not in CHARTS:
        raise HTTPException(404)
    zone = ZoneInfo(operator.operator.time_zone)
    period = read_period(request.query_params, zone, context.clock())
    table = await _table(context, name, period)
    svg = await run_in_threadpool(draw, table, CHARTS[name], theme, size)
    return Response(svg, media_type="image/svg+xml", headers=_HEADERS)


async def _table(context: Context, name: str, period: Period) -> Table:
    """The numbers of one chart, without asking for the others'."""
    match name:
        case "provisioning":
            return overview.provisioning_table(period, await figures.provisioning(context, period))
        case "pushes":
            return overview.pushes_table(period, await figures.pushes(context, period))
        case _:
            growth = await figures.growth(context, period)
            make = overview.plans_table if name == "plans" else overview.installs_table
            return make(period, growth)


def draw(table: Table, chart: Chart, theme: Theme, size: Size) -> str:
    """The chart of a table as SVG, without a script and without a foreign address."""
    pygal = _pygal()
    ink, line, colors = _DARK if theme == "dark" else _LIGHT
    width, height = SIZES[size]
    labels = [str(row[0]) for row in table.rows]
    columns = [
        column
        for column in chart.columns or range(1, len(table.columns))
        if any(row[column] is not None for row in table.rows)
    ]
    legend_columns, more_lines = _legend([table.columns[column] for column in columns], width)
    style = pygal.style.Style(
        background="transparent",
        plot_background="transparent",
        foreground=ink,
        foreground_strong=ink,
        foreground_subtle=line,
        guide_stroke_color=line,
        major_guide_stroke_color=line,
        guide_stroke_dasharray="none",
        major_guide_stroke_dasharray="none",
        opacity="1",
        stroke_opacity="1",
        stroke_width="2",
        transition="0s",
        font_family=_FONT,
        label_font_size=12,
        major_label_font_size=12,
        legend_font_size=12,
        no_data_font_size=16,
        colors=colors * max(1, math.ceil(len(columns) / len(colors))),  # pygal draws what is beyond them in black
    )
    drawn = getattr(pygal, chart.kind)(
        width=width,
        height=height + more_lines * _LEGEND_LINE,
        style=style,
        js=(),
        no_prefix=True,
        disable_xml_declaration=True,
        legend_at_bottom=True,
        legend_at_bottom_columns=legend_columns,
        legend_box_size=10,
        show_minor_x_labels=False,
        x_labels_major_every=_label_every(labels, width),
        x_label_rotation=0.01,  # pygal lets labels overlap that are not turned at all
        include_x_axis=True,
        margin=8,
        spacing=8,
        dots_size=2,
        truncate_label=-1,
        truncate_legend=int((width - _MARGINS - _LEGEND_BOX) / _LETTER),
        no_data_text="Nothing in this period",
    )
    drawn.title = None
    drawn.x_labels = labels
    for column in columns:
        drawn.add(table.columns[column], [row[column] for row in table.rows], allow_interruptions=True)
        drawn.y_labels = _ticks(table, columns, is_stacked=chart.kind == "StackedBar")
    drawn.add_xml_filter(_without_scripts)
    svg: str = drawn.render()
    return svg


def _pygal() -> Any:
    """The library, loaded when somebody looks at a chart: few processes ever draw one."""
    import pygal  # noqa: PLC0415 - see above

    # It leaves a finder of its plugins behind, of a kind that Python warns of at later imports; we have no plugins.
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "pygal"]
    return pygal


def _legend(names: Sequence[str], width: int) -> tuple[int | None, int]:
    """How many columns the legend has: pygal's choice (None), or one if a name is too long for that; and how many lines
    it takes then beyond those that pygal would.
    """
    usual = math.ceil(math.sqrt(len(names)))
    longest = max((len(name) for name in names), default=0) * _LETTER + _LEGEND_BOX
    return (None, 0) if longest * usual <= width - _MARGINS else (1, len(names) - usual)


def _label_every(labels: Sequence[str], width: int) -> int:
    """Which labels there is room for: every one, every second ..."""
    longest = (max(len(label) for label in labels) + 2) * _LETTER
    room_for = max(1, int(width * 0.85 / longest))
    return math.ceil(len(labels) / room_for)


def _ticks(table: Table, columns: Sequence[int], *, is_stacked: bool) -> list[float]:
    """Three to six round numbers from zero to above the highest value; no parts of what is counted."""
    rows = [
        [cell for cell in (row[column] for column in columns) if isinstance(cell, int | float)] for row in table.rows
    ]
    top = max((sum(row) if is_stacked else max(row) for row in rows if row), default=0) or 1
    is_counted = all(isinstance(cell, int) for row in rows for cell in row)
    magnitude = 10 ** math.floor(math.log10(top / 4))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= top / 4)
    step = max(1, round(step)) if is_counted else step
    return [round(step * number, 6) for number in range(math.ceil(top / step) + 1)]


def _without_scripts(root: Any) -> Any:
    """Elements have names; what has none is a comment, which names foreign hosts here."""
    for parent in list(root.iter()):
        for child in list(parent):
            if not isinstance(child.tag, str) or child.tag.rpartition("}")[2] == "script":
                parent.remove(child)
    return root
