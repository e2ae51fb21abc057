"""Web processes that share a port begin with what the first one has loaded, instead of each loading it again.

Uvicorn starts and watches them, and begins another for one that dies. By itself it begins a new interpreter for each,
which takes a second of a processor, and all of the memory once more. A fork shares what is there.

What makes it safe: whoever forks has loaded modules and read settings, and holds no connection, thread or event loop
that would then belong to two.
"""

import signal
from multiprocessing.context import ForkContext, ForkProcess

from uvicorn import _subprocess
from uvicorn.supervisors.multiprocess import SIGNALS


def fork_web_processes() -> None:
    """Let Uvicorn fork from now on."""
    _subprocess.spawn = _Context()  # type: ignore[assignment]  # the one place where it says how they begin


class _WebProcess(ForkProcess):
    """Listens to signals as a new interpreter does, not as the process that watches the others."""

    def start(self) -> None:
        """Begin. Nobody can tell it to stop before it is able to hear that: it would be lost, and waited for."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def run(self) -> None:
        """What it does, and ends with."""
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        super().run()


class _Context(ForkContext):
    Process = _WebProcess
