"""How a process loads its program: without what helps nobody and takes long."""

import gc
import os
import sys
from importlib import import_module
from types import ModuleType


def load(name: str) -> ModuleType:
    """A module with all that it imports, for a process that keeps it to its end."""
    # To look for plug-ins, Pydantic reads the description of every package that is installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # FastAPI loads the old Pydantic, if it is there, only to refuse its models: 20 ms, and more than a megabyte.
    sys.modules.setdefault("pydantic.v1", None)  # type: ignore[arg-type]  # what Python takes for "not there"
    # Nearly all that is made while modules load stays: looking for garbage among it takes a fifth of the time, and to
    # look once afterwards, for nothing, almost as much.
    gc.disable()
    try:
        return import_module(name)
    finally:
        gc.freeze()
        gc.enable()
