"""`python -m app.dev.child web` is `python -m app web`, but ends when its parent does, even by `kill -9`.

The parent keeps the other end of our standard input open and writes nothing to it; the kernel closes it when the parent
is gone. That works the same on Linux and macOS.
"""

import os
import runpy
import signal
import threading

_SECONDS_TO_FINISH = 10


def end_with_parent() -> None:
    """Wait for the end of standard input, then stop as on a platform: SIGTERM, and by force if that is not heard."""
    while os.read(0, 1024):
        pass
    ended = threading.Timer(_SECONDS_TO_FINISH, os._exit, [1])
    ended.daemon = True
    ended.start()
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Watch the parent and become the command."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    runpy.run_module("app", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
