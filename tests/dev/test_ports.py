import socket
from collections.abc import Iterator

import pytest

from app.dev.folder import DevError
from app.dev.ports import choose_ports


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def never(text: str) -> None:
    pytest.fail(text)


def test_the_usual_port_is_taken_when_nothing_speaks_against_it(tmp_path):
    usual = free()
    assert choose_ports(tmp_path, {"web": (None, usual)}, never) == [usual]


def test_a_port_that_is_asked_for_stays_at_the_next_start(tmp_path, taken):
    asked = free()
    choose_ports(tmp_path, {"web": (asked, taken)}, never)
    assert choose_ports(tmp_path, {"web": (None, taken)}, never) == [asked]


def test_instead_of_a_taken_port_a_later_one_is_found_and_named(tmp_path, taken):
    said: list[str] = []
    (port,) = choose_ports(tmp_path, {"web": (None, taken)}, said.append)
    assert port > taken
    assert said == [f"Port {taken} is taken, so the web listens on {port}."]
    assert choose_ports(tmp_path, {"web": (None, taken)}, never) == [port]


def test_two_programs_never_share_a_port(tmp_path):
    same = free()
    said: list[str] = []
    web, simulator = choose_ports(tmp_path, {"web": (same, 1), "simulator": (same, 1)}, said.append)
    assert web == same
    assert simulator > same
    assert len(said) == 1


def test_a_port_beyond_the_last_is_refused_with_a_sentence(tmp_path):
    with pytest.raises(DevError, match="No port from 70000 on is free"):
        choose_ports(tmp_path, {"web": (70000, 1)}, never)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"web": "x"}'])
def test_a_spoilt_list_of_ports_is_forgotten(tmp_path, content):
    usual = free()
    (tmp_path / "ports.json").write_text(content)
    assert choose_ports(tmp_path, {"web": (None, usual)}, never) == [usual]
