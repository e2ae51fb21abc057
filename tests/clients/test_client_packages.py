"""The list of what `./run test` installs for Node."""

import json
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).parent
LOCK = json.loads((HERE / "package-lock.json").read_bytes())


def test_every_package_is_pinned_by_its_content_and_none_says_where_it_comes_from():
    packages = {path: facts for path, facts in LOCK["packages"].items() if path}
    assert len(packages) > 500
    for path, facts in packages.items():
        # What a package brings along inside itself is covered by that package's own hash.
        assert facts.get("inBundle") or facts["integrity"].startswith("sha512-"), path
        assert "resolved" not in facts, path


def test_the_clients_are_exactly_these():
    asked = json.loads((HERE / "package.json").read_bytes())["dependencies"]
    assert asked == {"axe-core": "4.14.1", "heroku": "11.10.0", "heroku-client": "3.1.4"}
    assert {name: LOCK["packages"][f"node_modules/{name}"]["version"] for name in asked} == asked


def test_no_address_but_of_those_who_ask_for_money_is_in_the_list():
    def addresses(value: object) -> set[str]:
        if isinstance(value, dict):
            return {one for name, part in value.items() if name != "funding" for one in addresses(part)}
        if isinstance(value, list):
            return {one for part in value for one in addresses(part)}
        return {value} if isinstance(value, str) and urlsplit(value).netloc else set()

    assert addresses(LOCK) == set()
