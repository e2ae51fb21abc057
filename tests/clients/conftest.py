"""Heroku's own clients against the simulator and a real Acme Postgres, over sockets of this machine."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from acme import acme_manifest
from acme_process import acme_running
from node_programs import HerokuCli
from receiver import Receiver, receiving
from rig import CLIENT_SECRET, PASSWORD, SALT
from served_heroku import ServedHeroku, listening_socket, served, url_of

from app.dev.postgres import DevPostgres
from app.simulator import Simulator
from app.simulator.records import App
from app.simulator.tool_environment import tool_environment

PRICES = [
    {"name": "test", "human_name": "Test", "price_cents": 0},
    {"name": "standard", "human_name": "Standard", "price_cents": 5_000},
    {"name": "premium", "human_name": "Premium", "price_cents": 20_000},
    {"name": "enormous", "human_name": "Enormous", "price_cents": 123_456},
]


@pytest.fixture(scope="session")
def acme_database() -> Iterator[str]:
    """A server of Acme's own: what it sells here is nothing to the tests that count a server's databases."""
    folder = Path(tempfile.mkdtemp())
    with DevPostgres(folder, durable=False) as server:
        yield server.url
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def running_heroku(acme_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHeroku]:
    """A simulator that sells Acme Postgres, which runs beside it."""
    with listening_socket() as listener:
        addon_url = url_of(listener)

        def make(url: str) -> Simulator:
            manifest = acme_manifest().model_dump()
            manifest["api"] |= {"password": PASSWORD, "sso_salt": SALT}
            base_url, sso_url = f"{addon_url}/heroku/resources", f"{addon_url}/sso/login"
            return Simulator(manifest, url, base_url, sso_url, CLIENT_SECRET, plans=PRICES)

        with served(make) as heroku:
            addresses = {f"heroku_{name}_url": heroku.url for name in ("api", "id", "addons")}
            log = tmp_path_factory.mktemp("acme") / "log"
            with acme_running(listener, log, database_url=acme_database, public_url=addon_url, **addresses):
                heroku.clear()
                yield heroku


@pytest.fixture
def heroku(running_heroku: ServedHeroku) -> Iterator[ServedHeroku]:
    """The same, empty at first; afterwards no exchange of the test may have broken the protocol."""
    yield running_heroku
    problems = running_heroku.problems()
    running_heroku.clear()
    assert problems == []


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder in which the CLI has been used before: the very first command tells of its terms."""
    home = tmp_path_factory.mktemp("home")
    cache = home / "cache" / "heroku"
    cache.mkdir(parents=True)
    (cache / "terms-of-service").touch()
    return home


@pytest.fixture
def cli(heroku: ServedHeroku, home: Path) -> Iterator[HerokuCli]:
    """`heroku` as Ada has it after `heroku login`."""
    cli = HerokuCli(home, tool_environment(heroku.url, heroku.ada.api_key))
    yield cli
    cli.close()


@pytest.fixture
def shop(heroku: ServedHeroku) -> App:
    return heroku.create_app("shop")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver
