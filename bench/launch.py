"""`python -m bench.launch web`, or `worker`: a process of the add-on that is measured."""

import sys

from app.loading import load


def main(name: str) -> None:
    """Load the add-on as `python -m app` does, and run one of its commands."""
    addon = load("bench.addon")
    {"web": addon.web, "worker": addon.worker}[name]()


if __name__ == "__main__":
    main(*sys.argv[1:])
