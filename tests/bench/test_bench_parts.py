"""Each part of the bench runs, on a Postgres of its own and with real processes; how fast they are is not asked."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from bench import asking, growth, load, own_client, provision, pushes, starting
from bench.contestants import hello
from bench.processes import PROJECT, tree
from bench.server import NO_PGBENCH, Server, find_pgbench, postgres_server


@pytest.fixture(scope="module")
def server():
    with postgres_server() as running:
        yield running


@pytest.fixture(scope="module")
def greeter(server):
    with hello("bench.peers.hello_asgi:app", server, 1) as running:
        yield running


@pytest.mark.parametrize("number", [1, 16, 300])
def test_every_request_is_sent_once_and_answered(greeter, number):
    run = load.put_under_load(greeter.port, [asking.page("/")] * number, clients=16, seconds=3)
    assert (run.answered, run.refused, run.broken) == (number, 0, 0)


def test_the_bench_has_a_client_of_its_own_where_there_is_no_wrk(greeter, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    run = load.put_under_load(greeter.port, [asking.page("/")] * 300, clients=16, seconds=3)
    assert (run.answered, run.refused, run.broken) == (300, 0, 0)
    assert "own client" in load.program()


def test_its_own_client_tells_refusals_apart(server):
    with hello("bench.peers.hello_fastapi:app", server, 1) as running:
        said = own_client.send(
            running.port, [asking.page("/health/live"), asking.page("/nowhere")] * 10, 4, 20, again=False
        )
    assert (said["answered"], said["refused"], said["broken"]) == (20, 10, 0)


def test_provisions_are_measured_beside_the_limit_and_a_hello(server):
    section = provision.measure(server, rounds=1, seconds=1, has_peers=False)
    measured = [row[0] for row in section.tables[0].rows]
    limits = ["pgbench, one row", "pgbench, every row of a provision"] if find_pgbench() else []
    assert measured == [
        *limits,
        "bare ASGI hello, 1 process",
        "bare FastAPI hello, 1 process",
        "this add-on, 1 process",
        "this add-on, 2 processes",
    ]
    assert [table.title for table in section.tables] == ["16 clients", "64 clients"]
    assert sum(bar.is_ours for bar in section.bars) == 4


def test_a_limit_that_could_not_be_measured_is_in_the_report_with_its_reason(server, monkeypatch):
    monkeypatch.setattr(provision, "find_pgbench", lambda: None)
    monkeypatch.setattr(provision, "CONTESTANTS", [one for one in provision.CONTESTANTS if one.is_ours][:1])
    monkeypatch.setattr(provision, "CLIENTS", (4,))
    # The limit's own database may be there already, from another run on this server.
    url = server.make("without_pgbench")
    monkeypatch.setattr(Server, "make_empty", lambda *_: url)
    section = provision.measure(server, rounds=1, seconds=1, has_peers=False)
    limits = ["pgbench, one row", "pgbench, every row of a provision"]
    assert [row[:2] for row in section.tables[0].rows[-2:]] == [[name, "not measured"] for name in limits]
    assert section.remarks == [f"{name}: {NO_PGBENCH}" for name in limits]


def test_a_whole_life_is_measured_at_each_size(server):
    section = growth.measure(server, sizes=[100, 200], rounds=1, seconds=1)
    rates = {row[0]: row[1:] for row in section.tables[0].rows}
    assert set(growth.WHAT.values()) <= set(rates)
    assert section.tables[0].head[1:3] == ["100", "200"]


def test_rotations_are_pushed_to_every_app(server):
    section = pushes.measure(server, number=4, workers=[1])
    assert section.tables[0].rows[0][0] == "1"


def test_a_start_is_measured(server):
    section = starting.measure(server, rounds=1, seconds=1)
    rows = dict(section.tables[0].rows)
    assert int(rows["connections to the database after the load"]) >= 1


def test_a_bench_that_is_ended_leaves_neither_processes_nor_files_behind():
    # Not pytest's own folder, which only the user who runs the tests may enter.
    folder = Path(tempfile.mkdtemp(prefix="ended-"))
    folder.chmod(0o755)
    command = [sys.executable, "-m", "bench", "startup", "--quick"]
    bench = subprocess.Popen(command, cwd=PROJECT, env=os.environ | {"TMPDIR": str(folder)})
    try:
        give_up_at = time.monotonic() + 60
        while not (running := [pid for pid in tree(bench.pid) if _is_web_process(pid)]):
            assert bench.poll() is None
            assert time.monotonic() < give_up_at
            time.sleep(0.05)
        bench.send_signal(signal.SIGTERM)
        assert bench.wait(60) == 128 + signal.SIGTERM
        assert not [pid for pid in running if Path(f"/proc/{pid}").exists()]
        assert not list(folder.glob("bench-*"))
    finally:
        bench.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _is_web_process(pid):
    try:
        return b"bench.launch" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False  # it has ended meanwhile
