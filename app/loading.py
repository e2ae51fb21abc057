"""How a process loads its program: without what helps nobody and takes long."""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType


def load(name: str) -> ModuleType:
    """A module with all that it imports, for a process that keeps it to its end."""
    # To look for plug-ins, Pydantic reads the description of every package that is installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # Nearly all that is made while modules load stays: looking for garbage among it takes a fifth of the time, and to
    # look once afterwards, for nothing, almost as much.
    gc.disable()
    try:
        with _hidden("rich"):  # structlog would draw tracebacks with it: 40 ms, and several megabytes
            import_module("structlog")
        return import_module(name)
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Within the block, a library that is optional to another one is not there."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # what Python takes for "not there"
    try:
        yield
    finally:
        del sys.modules[name]
