"""Whatever customers, Heroku or colleagues have written is shown as text: no page runs it, none is led away by it."""

import json
import re

from busy_addon import make_busy
from chromium import needs_chromium
from served_panel import Panel, served_panel
from sqlalchemy import Text, text
from sqlalchemy.dialects.postgresql import JSONB
from test_admin_barriers import ALWAYS, pages_of

from app.database import Base
from app.operators.roles import Role

pytestmark = needs_chromium

EVIL = (
    "\"'></title></textarea></style><img src=x onerror=\"document.title='owned'\">"
    "<script>document.title='owned'</script><a href=\"javascript:document.title='owned'\">x</a>"
    "<svg/onload=document.title='owned'>{{7*7}}"
)
# What the program itself reads: with something else in it a page would not know what to show.
READ_BY_THE_PROGRAM = re.compile(
    r"(^|\.)(plan|service_plan|plan_before|plan_after|state|kind|method|action|include|status|repair|channel|labels"
    r"|time_zone|password_hash|fingerprint|direction|unit|retirement_waits_for|totp_\w+)$"
)
# Facts of others, kept as they came.
FACTS = {("exchanges", "request"), ("exchanges", "answer"), ("webhook_events", "facts")}
STRANGE = """() => document.querySelectorAll(
  "[onerror], [onload], img[src=x], script:not([src]), iframe, object, embed, [href^='javascript:'], base"
).length"""


async def write_into_everything(panel: Panel) -> int:
    """Put markup wherever a text is stored that a person may have written; into how many columns."""
    written = 0
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            is_text = isinstance(column.type, Text) and not READ_BY_THE_PROGRAM.search(f".{column.name}")
            is_fact = isinstance(column.type, JSONB) and (table.name, column.name) in FACTS
            if not (is_text or is_fact) or (is_text and column.primary_key):
                continue
            # Some must differ from row to row.
            value = ":evil || ctid::text" if is_text else "CAST(:evil AS jsonb)"
            evil = EVIL if is_text else json.dumps({"name": EVIL, "message": EVIL, "config": [EVIL], EVIL[:40]: EVIL})
            statement = f"UPDATE {table.name} SET {column.name} = {value} WHERE {column.name} IS NOT NULL"
            async with panel.rig.context.database.transaction() as session:
                await session.execute(text(statement), {"evil": evil})
            written += 1
    return written


async def test_no_page_runs_what_strangers_have_written(database_url: str):
    async with served_panel(database_url) as panel:
        owner, colleague = await panel.operator(Role.OWNER), await panel.operator(Role.SUPPORT)
        ids = await make_busy(panel.rig) | {"colleague": str(colleague.id)}
        page = await panel.window(owner)
        form = panel.rig.simulator.calls.sso_form(panel.rig.simulator.world.addon(ids["fine"]))
        await page.context.request.post(f"{panel.url}/sso/login", form=form)
        assert await write_into_everything(panel) > 20
        addresses = [f"/admin{address}" for address in (ALWAYS | pages_of(ids)).values()]
        found, shown = [], 0
        for address in [*addresses, f"/dashboard/{ids['fine']}", f"/admin/resources?q={EVIL[-40:-20]}"]:
            answer = await page.goto(panel.url + address)
            assert answer is not None
            words = await page.evaluate("document.body.innerText")
            shown += "<img src=x" in words
            strange = await page.evaluate(STRANGE)
            if answer.status >= 500 or strange or await page.title() == "owned" or "'owned'>49" in words:
                found.append(f"{address}: {answer.status}, {strange} strange elements, {await page.title()}")
        assert found == []
        assert shown > 20, "what strangers wrote is hardly on any page: this test looks at nothing"
        assert [line for line in panel.complaints if "Security Policy" in line or "owned" in line] == []
        assert panel.foreign == []
