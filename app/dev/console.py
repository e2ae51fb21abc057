"""One log of many programs, each with its name in its colour, and the box of links. Plain text where nobody looks."""

from collections.abc import Sequence

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

_COLOURS = {"web": "cyan", "worker": "magenta", "simulator": "green", "migrate": "yellow"}
_NAME_WIDTH = 9


class DevConsole:
    """Where development speaks. A terminal that was closed is no reason to end untidily: nothing is said to it then."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._is_gone = False

    @property
    def is_coloured(self) -> bool:
        """Whether programs may colour what they say; rich knows terminals, NO_COLOR and TERM=dumb."""
        return self._console.is_terminal and not self._console.no_color and self._console.color_system is not None

    def line(self, name: str, text: str) -> None:
        """What the program `name` said."""
        colour = _COLOURS.get(name, "blue")
        self._print(Text.assemble((f"{name:<{_NAME_WIDTH}}", f"bold {colour}"), (" | ", "dim"), Text.from_ansi(text)))

    def say(self, text: str) -> None:
        """What we say ourselves."""
        self.line("dev", text)

    def box(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        """Names with what there is to click or to type."""
        if not self._console.is_terminal:
            self.say(title)
            for name, text in rows:
                self.say(f"  {name:<12}{text}")
            return
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, text in rows:
            table.add_row(name, Text(text))
        self._print(Panel.fit(table, title=title, border_style="green", padding=(1, 2)))

    def _print(self, what: Text | Panel) -> None:
        if self._is_gone:
            return
        try:
            self._console.print(what, soft_wrap=isinstance(what, Text))
        except OSError:
            self._is_gone = True
