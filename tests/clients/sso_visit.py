"""What a browser does with the page that hands a customer over to an add-on: it posts the form that is on it."""

import json
import re
from html.parser import HTMLParser

import httpx2


class _Form(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            assert values["method"].lower() == "post"
            self.action = values["action"]
        elif tag == "input" and values.get("name"):
            self.fields[values["name"]] = values.get("value", "")


def visit_dashboard(page: str) -> httpx2.Response:
    """Post the form of an SSO page and follow to where it leads."""
    form = _Form()
    form.feed(page)
    # The page that the CLI makes has a script that fills the form.
    filled_by_script = re.search(r"var params = (\{.*\})", page)
    fields = json.loads(filled_by_script[1]) if filled_by_script else form.fields
    with httpx2.Client(follow_redirects=True, timeout=20, trust_env=False) as browser:
        return browser.post(form.action, data=fields)
