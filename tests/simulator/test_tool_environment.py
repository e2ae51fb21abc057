"""The lines that point the Heroku CLI at a simulator."""

import subprocess

import pytest

from app.simulator.tool_environment import environment_lines


async def test_a_shell_that_evaluates_the_lines_points_the_cli_at_the_simulator(sim, http):
    answer = await http.get("/simulator/env")
    assert answer.headers["content-type"].startswith("text/plain")
    owner = next(iter(sim.world.customers.values()))
    shell = subprocess.run(
        ["sh", "-ec", answer.text + '\nprintf "%s|%s|%s" "$HEROKU_HOST" "$HEROKU_API_KEY" "$HEROKU_ADDONS_HOST"'],
        check=True,
        capture_output=True,
        text=True,
    )
    assert shell.stdout == f"http://heroku.test|{owner.api_key}|http://heroku.test"
    assert "export DISABLE_TELEMETRY=true\n" in answer.text


async def test_anybody_of_this_world_may_be_chosen(sim, http):
    ben = next(one for one in sim.world.customers.values() if one.email == "ben@example.com")
    assert ben.api_key in (await http.get("/simulator/env", params={"as": "ben@example.com"})).text
    nobody = await http.get("/simulator/env", params={"as": "nobody@example.com"})
    assert (nobody.status_code, "ben@example.com" in nobody.text) == (404, True)


@pytest.mark.parametrize("key", ["it's", "a b", "$(touch /tmp/x)"])
def test_a_value_cannot_leave_its_line(key):
    (line,) = [
        line for line in environment_lines("http://127.0.0.1:1", key) if line.startswith("export HEROKU_API_KEY")
    ]
    shell = subprocess.run(
        ["sh", "-ec", f'{line}\nprintf %s "$HEROKU_API_KEY"'], check=True, capture_output=True, text=True
    )
    assert shell.stdout == key


def test_the_partners_plugin_gets_a_host_without_a_port():
    assert "export HEROKU_ADDONS_HOST=http://127.0.0.1" in environment_lines("http://127.0.0.1:5100", "key")
