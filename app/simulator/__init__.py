"""A pretend Heroku for the laptop and for the tests. It speaks HTTP to an add-on in any language.

`Simulator(manifest=..., ...)` is the whole of it; `python -m app simulate` serves one, the tests run one in-process.
"""

from .errors import AddOnFailed, HerokuError, StateUnreadable
from .simulator import Simulator

__all__ = ["AddOnFailed", "HerokuError", "Simulator", "StateUnreadable"]
