"""The Postgres of laptops and tests starts, keeps what it should, and comes back after every bad end."""

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import psycopg
import pytest

from app.dev.postgres import DevPostgres
from app.dev.postgres_programs import DevPostgresError

PROJECT = Path(__file__).parent.parent.parent


@pytest.fixture
def folder():
    folder = Path(mkdtemp())
    yield folder
    rmtree(folder)


def connect(server, **parameters):
    return psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True, passfile="/dev/null", **parameters)


def test_data_password_and_port_are_the_same_at_the_next_start(folder):
    with DevPostgres(folder, durable=False) as server:
        url = server.url
        with connect(server) as admin:
            admin.execute("CREATE TABLE t AS SELECT 7 AS n")
    with DevPostgres(folder) as server:
        assert server.url == url
        with connect(server) as admin:
            assert admin.execute("SELECT n FROM t").fetchone() == (7,)
            assert admin.execute("SHOW fsync").fetchone() == ("on",)
            assert admin.execute("SHOW max_connections").fetchone() == ("300",)


def test_nobody_gets_in_without_the_password_by_tcp_or_socket(folder):
    with DevPostgres(folder, durable=False) as server:
        for host in ("127.0.0.1", str(server.data)):
            with connect(server, host=host) as admin:
                assert admin.execute("SELECT 1").fetchone() == (1,)
            with pytest.raises(psycopg.OperationalError, match="password"):
                connect(server, host=host, password="")
        assert stat.S_IMODE((folder / "password").stat().st_mode) == 0o600
        assert (folder / "password").read_text() not in repr(server)


def test_a_taken_port_is_replaced_and_that_is_said(folder):
    said = []
    with DevPostgres(folder, durable=False) as server:
        port = server.port
    with socket.create_server(("127.0.0.1", port)), DevPostgres(folder, durable=False, say=said.append) as server:
        assert server.port != port
        with connect(server) as admin:
            assert admin.execute("SELECT 1").fetchone() == (1,)
    assert said == [f"Port {port} is taken, so Postgres listens on {server.port}; older database URLs no longer work."]


def test_a_killed_server_recovers(folder):
    with DevPostgres(folder) as server:
        with connect(server) as admin:
            admin.execute("CREATE TABLE t AS SELECT 7 AS n")
        os.killpg(server._server.pid, signal.SIGKILL)
        server._server.wait()
    with DevPostgres(folder) as server, connect(server) as admin:
        assert admin.execute("SELECT n FROM t").fetchone() == (7,)


@pytest.mark.parametrize("without_setpriv", [False, True])
def test_a_killed_parent_does_not_stop_the_next_start(folder, without_setpriv):
    program = f"""
import shutil, sys
from pathlib import Path
from app.dev.postgres import DevPostgres
if {without_setpriv}:
    which = shutil.which
    shutil.which = lambda name: None if name == "setpriv" else which(name)
with DevPostgres(Path({str(folder)!r}), durable=False) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", program], cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        url = parent.stdout.readline().strip()
        parent.kill()
    with DevPostgres(folder, durable=False) as server:
        assert server.url == url


def test_a_process_id_that_belongs_to_somebody_else_now_is_no_bar(folder):
    with DevPostgres(folder, durable=False) as server:
        pass
    (server.data / "postmaster.pid").write_text(f"{os.getpid()}\n{server.data}\n")
    with DevPostgres(folder, durable=False) as server, connect(server) as admin:
        assert admin.execute("SELECT 1").fetchone() == (1,)


def test_two_at_once_on_a_folder_are_refused(folder):
    with DevPostgres(folder, durable=False) as server, connect(server) as admin:
        with pytest.raises(DevPostgresError, match="already running under another process"):
            DevPostgres(folder, durable=False).__enter__()
        assert admin.execute("SELECT 1").fetchone() == (1,)


def test_a_half_made_cluster_is_made_anew(folder):
    (folder / "data.new").mkdir()
    (folder / "data.new" / "PG_VERSION").write_text("18\n")
    (folder / "password").write_text("of the half-made one")
    with DevPostgres(folder, durable=False) as server, connect(server) as admin:
        assert admin.execute("SELECT 1").fetchone() == (1,)


def test_ctrl_c_in_the_terminal_does_not_reach_the_server(folder):
    with DevPostgres(folder, durable=False) as server:
        assert os.getsid(server._server.pid) != os.getsid(0)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda folder: (folder / "password").unlink(), "The password file in .* is gone: put it back"),
        (lambda folder: (folder / "data" / "PG_VERSION").write_text("9\n"), "was made by Postgres 9 and this is"),
        (
            lambda folder: (folder / "data" / "postgresql.conf").write_text("nonsense = 1\n"),
            r'(?s)Postgres did not start.*unrecognized configuration parameter "nonsense"',
        ),
    ],
)
def test_what_prevents_a_start_is_said_in_a_sentence(folder, spoil, sentence):
    with DevPostgres(folder, durable=False):
        pass
    spoil(folder)
    with pytest.raises(DevPostgresError, match=sentence):
        DevPostgres(folder, durable=False).__enter__()


def test_a_database_name_is_quoted_in_its_url(folder):
    server = DevPostgres(folder)
    assert server.url_for("a/b c").endswith("/a%2Fb%20c")
