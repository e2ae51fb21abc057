"""`python -m bench.launch web`, or `worker`: a process of the add-on that is measured."""

import gc
import sys


def main(name: str) -> None:
    """Load the add-on as `python -m app` does, without looking for garbage meanwhile, and run one of its commands."""
    gc.disable()
    from bench import addon  # noqa: PLC0415 - only now

    gc.enable()
    {"web": addon.web, "worker": addon.worker}[name]()


if __name__ == "__main__":
    main(*sys.argv[1:])
