"""What a run is told on the command line."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.simulator.masking import masked_url
from app.simulator.starting import Started

from .reports import Format, format_of
from .requirement import Level
from .target import Target

_FOLDER = Path(".conformance")


class Unusable(Exception):
    """Options that contradict each other, or the world; the message is one sentence."""


@dataclass(frozen=True)
class Options:
    """One run's options; see `docs/conformance.md`. `patience` and `wait` are seconds."""

    manifest: Path
    base_url: str | None = None
    sso_url: str | None = None
    port: int = 5100
    plans: Sequence[str] = ()
    only: Sequence[str] = ()
    skip: Sequence[str] = ()
    level: Level = Level.SHOULD
    form: Format | None = None
    outputs: Sequence[Path] = ()
    restart_command: str | None = None
    log_file: Path | None = None
    patience: float = 60
    wait: float = 10
    journal: Path | None = None
    is_strict: bool = False
    is_quiet: bool = False

    def journal_path(self, slug: str) -> Path:
        """Where the run notes what it makes: by default a file for each add-on in the current folder."""
        return self.journal or _FOLDER / f"{re.sub('[^a-z0-9-]', '-', slug.lower())}.json"

    def target(self, ready: Started, environ: Mapping[str, str]) -> Target:
        """Return the add-on under test. What it still accepts after a change of secrets is told by `environ` alone."""
        return Target(
            ready.addon_base_url,
            ready.addon_sso_url,
            self.patience,
            self.restart_command,
            str(self.log_file) if self.log_file else None,
            previous_password=environ.get("ADDON_PASSWORD_PREVIOUS"),
            previous_salt=environ.get("ADDON_SSO_SALT_PREVIOUS"),
        )

    def formats(self) -> dict[Path, Format]:
        """Tell the format of each output: `form`, else what the file's ending says."""
        found: dict[Path, Format] = {}
        for path in self.outputs:
            form = self.form or format_of(path)
            if form is None:
                raise Unusable(f"{path}: its ending tells no format; give --format.")
            if path.is_dir() or not path.absolute().parent.is_dir():
                raise Unusable(f"{path}: a report cannot be written there.")
            found[path] = form
        return found

    def repeat(self, requirement_id: str) -> str:
        """Return the command that checks one requirement again. A restart command may hold a secret and is left out."""
        words = ["./run", "conform", *self._about_the_addon(), "--only", requirement_id]
        command = shlex.join(words)
        return command if self.restart_command is None else f'{command} --restart-command "$RESTART_COMMAND"'

    def purge(self) -> str:
        """Return the command that removes what an earlier run left."""
        return shlex.join(["./run", "conform", *self._about_the_addon(), "--purge"])

    def _about_the_addon(self) -> list[str]:
        words = ["--manifest", str(self.manifest)]
        for name, value, usual in (
            ("--base-url", self.base_url and masked_url(self.base_url), None),
            ("--sso-url", self.sso_url and masked_url(self.sso_url), None),
            ("--port", self.port, 5100),
            ("--patience", self.patience, 60),
            ("--log-file", self.log_file, None),
            ("--journal", self.journal, None),
        ):
            if value != usual:
                words += [name, f"{value:g}" if isinstance(value, float) else str(value)]
        for plan in self.plans:
            words += ["--plan", plan]
        return words
