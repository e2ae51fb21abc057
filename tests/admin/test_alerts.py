"""What the team is alerted of, and that it is told once, whatever goes wrong on the way."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from receivers import MailServer, Webhook, certificate, listening
from rig import Rig
from sqlalchemy import insert, select, text, update

from app.errors import Refused
from app.operations import alerts, messages, reconciliation, telling
from app.operations.audit_chain import link_events
from app.operations.audit_verification import verify_and_record
from app.operations.models import Alert, AlertMessage, Difference, Reconciliation
from app.operators.roles import Actor, NotAllowed, Role
from app.resources.models import Resource
from app.resources.traces import Event

OPERATOR = Actor(name="olga@acme.example", role=Role.OPERATOR)
WEBHOOK_SECRET = "the-webhooks-own-secret"
MAIL_PASSWORD = "p@ss/w:rd"
PATH = "/services/T0/secret-path"


async def add(rig: Rig, number: int = 1, **values: object) -> list[str]:
    """Rows of resources that are fine but for `values`."""
    rows = [
        {
            "uuid": uuid4(), "name": f"acme-{place}", "plan": "test", "region": "r", "state": "provisioned",
            "seed_sealed": b"", "options": {}, "created_at": rig.clock(), "generation": 1, "failures": 0,
            "config_version": 0, "pushed_version": 0,
        }
        | values
        for place in range(number)
    ]  # fmt: skip
    async with rig.context.database.transaction() as session:
        await session.execute(insert(Resource), rows)
    return [str(row["uuid"]) for row in rows]


async def change(rig: Rig, uuid: str, **values: object) -> None:
    async with rig.context.database.transaction() as session:
        await session.execute(update(Resource).where(Resource.uuid == UUID(uuid)).values(**values))


async def open_kinds(rig: Rig) -> list[tuple[str, str]]:
    await alerts.check(rig.context)
    return [(alert.kind, alert.subject) for alert in await alerts.open_alerts(rig.context)]


async def sent_messages(rig: Rig) -> list[AlertMessage]:
    async with rig.context.database.transaction() as session:
        return list(await session.scalars(select(AlertMessage).order_by(AlertMessage.created_at, AlertMessage.channel)))


@pytest.fixture
async def told(make_rig: Callable[..., Rig]) -> AsyncIterator[tuple[Rig, MailServer, Webhook]]:
    """A rig whose team is told by mail and by webhook."""
    async with team(make_rig) as all_three:
        yield all_three


@asynccontextmanager
async def team(make_rig: Callable[..., Rig]) -> AsyncIterator[tuple[Rig, MailServer, Webhook]]:
    mail, webhook = MailServer(knows_sign_in=True), Webhook()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(listening(mail))
        await stack.enter_async_context(listening(webhook))
        rig = make_rig(
            alert_smtp_url=f"smtp://robot:p%40ss%2Fw%3Ard@127.0.0.1:{mail.port}",
            alert_mail_from="alerts@acme.example",
            alert_mail_to="ops@acme.example, boss@acme.example",
            alert_webhook_url=f"http://127.0.0.1:{webhook.port}{PATH}",
            alert_webhook_secret=WEBHOOK_SECRET,
        )
        yield await stack.enter_async_context(rig.running()), mail, webhook


class TestConditions:
    async def test_when_all_is_well_nothing_is_open(self, key_rig: Rig):
        key_rig.simulator.world.create_app("demo")
        await key_rig.simulator.calls.provision("demo", "standard")
        await key_rig.work()
        key_rig.clock.forward(days=2)
        assert await open_kinds(key_rig) == []

    async def test_a_provision_that_was_given_up_is_news_for_a_day(self, key_rig: Rig):
        now = key_rig.clock()
        (uuid,) = await add(key_rig, state="deprovisioned", deprovisioned_at=now, refusal="No room.")
        assert await open_kinds(key_rig) == [("provision_failed", uuid)]
        key_rig.clock.forward(hours=23)
        assert await open_kinds(key_rig) == [("provision_failed", uuid)]
        key_rig.clock.forward(hours=1)
        assert await open_kinds(key_rig) == []

    async def test_a_provision_that_heroku_never_authorized_ends_as_one(self, key_rig: Rig):
        key_rig.simulator.faults.add("error", direction="platform", path="/oauth/token", status=400, count=50)
        key_rig.simulator.world.create_app("demo")
        addon = await key_rig.simulator.calls.provision("demo", "standard")
        key_rig.clock.forward(minutes=6)
        await key_rig.work(rounds=3)
        assert await open_kinds(key_rig) == [("provision_failed", addon.id)]

    async def test_a_provision_that_takes_more_than_an_hour_is_seen_until_it_is_there(self, key_rig: Rig):
        (uuid,) = await add(key_rig, state="provisioning")
        key_rig.clock.forward(minutes=59)
        assert await open_kinds(key_rig) == []
        key_rig.clock.forward(minutes=1)
        assert await open_kinds(key_rig) == [("provision_waits", uuid)]
        await change(key_rig, uuid, state="provisioned")
        assert await open_kinds(key_rig) == []

    async def test_a_push_that_waits_fifteen_minutes_is_seen_until_it_has_arrived(self, key_rig: Rig):
        key_rig.simulator.world.create_app("demo")
        addon = await key_rig.simulator.calls.provision("demo", "test")
        await key_rig.work()
        key_rig.clock.forward(hours=3)
        await change(key_rig, addon.id, config_version=7, config_changed_at=key_rig.clock())
        key_rig.clock.forward(minutes=14)
        assert await open_kinds(key_rig) == []
        key_rig.clock.forward(minutes=1)
        assert await open_kinds(key_rig) == [("push_waits", addon.id)]
        await change(key_rig, addon.id, pushed_version=7)
        assert await open_kinds(key_rig) == []

    async def test_tokens_that_heroku_refuses_are_seen_until_it_takes_one_again(self, key_rig: Rig):
        (uuid,) = await add(key_rig, tokens_refused_at=key_rig.clock())
        await add(key_rig, state="deprovisioned", deprovisioned_at=key_rig.clock(), tokens_refused_at=key_rig.clock())
        assert await open_kinds(key_rig) == [("token_refused", uuid)]
        await change(key_rig, uuid, tokens_refused_at=None)
        assert await open_kinds(key_rig) == []

    async def test_work_that_fails_five_times_in_a_row_is_seen_until_it_succeeds(self, key_rig: Rig):
        (uuid,) = await add(key_rig, failures=4)
        assert await open_kinds(key_rig) == []
        await change(key_rig, uuid, failures=5)
        assert await open_kinds(key_rig) == [("driver_fails", uuid)]
        assert "has failed 5 times" in (await alerts.open_alerts(key_rig.context))[0].text
        await change(key_rig, uuid, failures=0)
        assert await open_kinds(key_rig) == []

    async def test_a_late_queue_is_seen_until_it_has_caught_up(self, key_rig: Rig):
        (uuid,) = await add(key_rig)

        async def let_wait(seconds: int) -> None:
            async with key_rig.context.database.transaction() as session:
                await session.execute(
                    text("UPDATE procrastinate_events SET at = now() - make_interval(secs => :seconds)"),
                    {"seconds": seconds},
                )

        async with key_rig.context.database.transaction() as session:
            await key_rig.context.queue.enqueue(session, "settle", UUID(uuid))
        for seconds, expected in ((290, []), (310, [("queue_waits", "")]), (120, [("queue_waits", "")]), (30, [])):
            await let_wait(seconds)
            assert await open_kinds(key_rig) == expected

    async def test_the_newest_reconciliation_decides_and_repairs_count(self, key_rig: Rig):
        async def ended(minutes: int, **values: object) -> UUID:
            id_, now = uuid4(), key_rig.clock() + timedelta(minutes=minutes)
            row = Reconciliation(id=id_, actor="a", begun_at=now, ended_at=now, **{"counts": {}} | values)
            async with key_rig.context.database.transaction() as session:
                session.add(row)
            return id_

        differing = await ended(0, counts={"ghost": 1})
        assert await open_kinds(key_rig) == [("reconciliation_differs", "")]
        async with key_rig.context.database.transaction() as session:
            row = Difference(
                reconciliation_id=differing, resource_uuid=uuid4(), kind="ghost", text="t", repaired_at=key_rig.clock()
            )
            session.add(row)
        assert await open_kinds(key_rig) == []
        await ended(1, error="Heroku has no list.")
        assert await open_kinds(key_rig) == [("reconciliation_failed", "")]
        await ended(2, counts={"orphan": 9}, caution="That is hardly true.")
        assert await open_kinds(key_rig) == [("reconciliation_differs", "")]
        await ended(3)
        assert await open_kinds(key_rig) == []

    async def test_each_is_opened_once_however_often_it_is_looked_at(self, key_rig: Rig):
        await add(key_rig, 3, failures=7)
        for _ in range(3):
            assert len(await open_kinds(key_rig)) == 3

    async def test_one_that_cannot_be_looked_at_hinders_no_other(self, key_rig: Rig):
        (uuid,) = await add(key_rig, failures=7)
        async with key_rig.context.database.transaction() as session:
            await session.execute(text("ALTER TABLE procrastinate_events RENAME TO away"))
        assert await open_kinds(key_rig) == [("driver_fails", uuid)]

    async def test_no_more_than_a_thousand_of_a_kind_are_open(self, key_rig: Rig):
        await add(key_rig, 1_020, failures=7)
        await alerts.check(key_rig.context)
        await alerts.check(key_rig.context)
        assert await alerts.count_open(key_rig.context) == {"driver_fails": alerts.MOST_OPEN}

    async def test_those_that_two_workers_have_opened_beyond_that_are_closed_in_time(self, key_rig: Rig):
        uuids = await add(key_rig, alerts.MOST_OPEN + 5, failures=7)
        rows = [{"kind": "driver_fails", "subject": uuid, "text": "x", "opened_at": key_rig.clock()} for uuid in uuids]
        async with key_rig.context.database.transaction() as session:
            await session.execute(insert(Alert), rows)
            await session.execute(update(Resource).where(Resource.uuid == UUID(uuids[0])).values(failures=0))
        await alerts.check(key_rig.context)
        assert await alerts.count_open(key_rig.context) == {"driver_fails": alerts.MOST_OPEN + 4}

    async def test_a_broken_audit_log_is_seen_until_it_is_verified_again(self, key_rig: Rig):
        key_rig.simulator.world.create_app("demo")
        await key_rig.simulator.calls.provision("demo", "test")
        await link_events(key_rig.context)
        await verify_and_record(key_rig.context)
        assert await open_kinds(key_rig) == []
        await _say_of_the_first_event(key_rig, "'forged' || text")
        key_rig.clock.forward(minutes=1)
        await verify_and_record(key_rig.context)
        assert await open_kinds(key_rig) == [("audit_broken", "")]
        (alert,) = await alerts.open_alerts(key_rig.context)
        assert messages.page(alert) == "/audit"
        assert "was altered" in alert.text
        await _say_of_the_first_event(key_rig, "substr(text, 7)")
        key_rig.clock.forward(minutes=1)
        await verify_and_record(key_rig.context)
        assert await open_kinds(key_rig) == []


async def _say_of_the_first_event(rig: Rig, words: str) -> None:
    async with rig.context.database.transaction() as session:
        await session.execute(text(f"UPDATE events SET text = {words} WHERE id = (SELECT min(id) FROM events)"))


class TestTelling:
    async def test_begin_and_end_are_told_once_each_by_mail_and_webhook(self, told):
        rig, mail, webhook = told
        (uuid,) = await add(rig, failures=7)
        for _ in range(3):
            await telling.watch(rig.context)
            rig.clock.forward(minutes=6)
        await change(rig, uuid, failures=0)
        for _ in range(3):
            await telling.watch(rig.context)
            rig.clock.forward(minutes=6)
        first, second = mail.mails
        assert first["Subject"] == "Acme Postgres: Work fails again and again"
        assert second["Subject"] == "Acme Postgres: Work fails again and again, over"
        assert f"http://addon.test/admin/resources/{uuid}" in first.get_content()
        assert "acme-0 (test) has failed 7 times in a row" in first.get_content()
        assert "is over" in second.get_content()
        assert len(webhook.bodies) == 2
        (begun,), (over,) = (json.loads(body)["alerts"] for body in webhook.bodies)
        assert (begun["subject"], begun["closed_at"]) == (uuid, None)
        assert (over["id"], over["closed_at"] is None) == (begun["id"], False)

    async def test_the_mail_is_proper(self, told):
        rig, mail, _ = told
        await add(rig, failures=7)
        await telling.watch(rig.context)
        (message,) = mail.mails
        assert (message["From"], message["To"]) == ("alerts@acme.example", "ops@acme.example, boss@acme.example")
        assert mail.recipients == ["ops@acme.example", "boss@acme.example"]
        assert mail.sign_ins == [("robot", MAIL_PASSWORD)]
        assert message["Auto-Submitted"] == "auto-generated"
        assert message["Message-ID"].endswith("@addon.test>")
        assert abs(message["Date"].datetime - rig.clock()) < timedelta(seconds=1)

    async def test_what_is_posted_is_signed_and_shows_in_a_chat(self, told):
        rig, _, webhook = told
        await add(rig, failures=7, name="<!channel> & friends")
        await telling.watch(rig.context)
        (headers,), (body,), (words,) = webhook.headers, webhook.bodies, webhook.texts
        signed = f"{headers['addon-timestamp']}.".encode() + body
        digest = hmac.new(WEBHOOK_SECRET.encode(), signed, hashlib.sha256).hexdigest()
        assert headers["addon-signature"] == f"v1={digest}"
        assert headers["idempotency-key"] == json.loads(body)["id"]
        assert "&lt;!channel&gt; &amp; friends" in words
        assert "<" not in words

    async def test_a_storm_is_one_message_with_a_count_and_the_first_twenty(self, told):
        rig, mail, webhook = told
        await add(rig, 500, state="deprovisioned", deprovisioned_at=rig.clock(), refusal="No room.")
        await telling.watch(rig.context)
        (message,) = mail.mails
        assert message["Subject"] == "Acme Postgres: Provisioning failed (500)"
        assert message.get_content().count("(test) could not be provisioned.") == 20
        assert "and 480 more" in message.get_content()
        assert len(json.loads(webhook.bodies[0])["alerts"]) == 20

    async def test_a_storm_of_one_kind_hides_no_other(self, told):
        rig, mail, _ = told
        await add(rig, 50, state="deprovisioned", deprovisioned_at=rig.clock(), refusal="No room.")
        (uuid,) = await add(rig, name="the-odd-one", tokens_refused_at=rig.clock())
        await telling.watch(rig.context)
        assert uuid in mail.mails[0].get_content()

    async def test_what_comes_in_drops_is_collected_for_five_minutes(self, told):
        rig, mail, _ = told
        for _ in range(10):
            await add(rig, failures=7)
            await telling.watch(rig.context)
            rig.clock.forward(minutes=1)
        assert [message["Subject"].partition(": ")[2] for message in mail.mails] == [
            "Work fails again and again",
            "Work fails again and again (5)",
        ]

    async def test_a_failed_provision_is_never_told_to_be_over(self, told):
        rig, mail, _ = told
        await add(rig, state="deprovisioned", deprovisioned_at=rig.clock(), refusal="No room.")
        await telling.watch(rig.context)
        rig.clock.forward(days=1)
        await telling.watch(rig.context)
        assert [len(mail.mails), await alerts.count_open(rig.context)] == [1, {}]

    async def test_what_does_not_arrive_is_sent_again_at_growing_intervals(self, told):
        rig, mail, webhook = told
        webhook.answers += [503, 302, 404]
        await add(rig, failures=7)
        tries = []
        for minute in range(12):
            await telling.watch(rig.context)
            tries += [minute] * (len(webhook.bodies) - len(tries))
            rig.clock.forward(minutes=1)
        assert tries == [0, 1, 3, 7]
        assert len({json.loads(body)["id"] for body in webhook.bodies}) == 1
        assert set(webhook.paths) == {PATH}
        assert len(mail.mails) == 1  # which the webhook's trouble did not delay, nor repeat
        assert all(message.sent_at and not message.last_error for message in await sent_messages(rig))

    async def test_after_a_day_it_is_given_up(self, told):
        rig, mail, _ = told
        mail.refusals += [b"451 later alerts@acme.example\r\n"] * 100
        await add(rig, failures=7)
        for _ in range(26):
            await telling.watch(rig.context)
            rig.clock.forward(hours=1)
        by_mail, by_webhook = await sent_messages(rig)
        assert (by_mail.sent_at, by_mail.given_up_at is None) == (None, False)
        assert by_mail.last_error == "The mail server answered 451 (SMTPSenderRefused)."
        assert (by_webhook.attempts, by_webhook.given_up_at) == (1, None)
        refused = len(mail.said)
        await telling.watch(rig.context)
        assert len(mail.said) == refused
        assert [one.channel for one in await telling.undelivered(rig.context)] == ["mail"]

    async def test_a_process_that_died_while_sending_sends_again(self, told):
        rig, mail, _ = told
        await add(rig, failures=7)
        await alerts.check(rig.context)
        await telling.write(rig.context)
        assert await telling._take(rig.context, "mail") is not None  # and then it dies
        await telling.deliver(rig.context)
        assert mail.mails == []
        rig.clock.forward(minutes=1)
        await telling.deliver(rig.context)
        assert len(mail.mails) == 1

    async def test_two_workers_send_it_once(self, told):
        rig, mail, webhook = told
        await add(rig, 5, failures=7)
        await asyncio.gather(*(telling.watch(rig.context) for _ in range(4)))
        assert (len(mail.mails), len(webhook.bodies)) == (1, 1)

    async def test_a_way_that_is_no_longer_set_up_ends_its_messages(self, told, make_rig):
        rig, mail, _ = told
        mail.refusals += [b"451 later\r\n"]
        await add(rig, failures=7)
        await telling.watch(rig.context)
        async with make_rig().running() as poorer:
            await telling.watch(poorer.context)
        (by_mail, by_webhook) = await sent_messages(rig)
        assert by_mail.last_error == "This way to the team is not set up any more."
        assert by_webhook.given_up_at is None

    async def test_without_any_way_alerts_wait_for_one_to_be_told(self, key_rig: Rig, make_rig):
        await add(key_rig, failures=7)
        await telling.watch(key_rig.context)
        key_rig.clock.forward(days=3)
        await telling.watch(key_rig.context)
        assert await sent_messages(key_rig) == []
        async with team(make_rig) as (rig, mail, _):
            await telling.watch(rig.context)
            assert len(mail.mails) == 1

    async def test_nothing_secret_is_stored_sent_or_told_of_a_failure(self, told, capsys):
        rig, mail, webhook = told
        webhook.answers, mail.refusals = [500], [b"550 robot p@ss/w:rd\r\n"]
        await add(rig, failures=7, last_error="secret-of-a-driver")
        await telling.watch(rig.context)
        stored = [message.content | {"error": message.last_error} for message in await sent_messages(rig)]
        everything = f"{stored} {webhook.bodies} {capsys.readouterr()}"
        for secret in (WEBHOOK_SECRET, MAIL_PASSWORD, "secret-path", "p%40ss", "secret-of-a-driver"):
            assert secret not in everything

    async def test_old_ones_are_forgotten(self, told):
        rig, _, _ = told
        (uuid,) = await add(rig, failures=7)
        await telling.watch(rig.context)
        await change(rig, uuid, failures=0)
        await telling.watch(rig.context)
        rig.clock.forward(days=366)
        await telling.forget(rig.context)
        assert await sent_messages(rig) == []
        assert await alerts.past_alerts(rig.context) == []


class TestWays:
    async def test_mail_is_sent_over_tls_whenever_the_server_offers_it(self, make_rig, tmp_path, monkeypatch):
        tls, trusted = certificate(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        mail = MailServer(tls=tls)
        async with listening(mail), _by_mail(make_rig, f"smtp://localhost:{mail.port}") as rig:
            assert await telling.send_trial(rig.context, OPERATOR) == {"mail": None}
        assert mail.said[:3] == ["EHLO", "STARTTLS", "EHLO"]

    async def test_or_from_the_first_byte_on(self, make_rig, tmp_path, monkeypatch):
        tls, trusted = certificate(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        mail = MailServer()
        async with listening(mail, tls=tls), _by_mail(make_rig, f"smtps://localhost:{mail.port}") as rig:
            assert await telling.send_trial(rig.context, OPERATOR) == {"mail": None}
        assert (mail.said[0], len(mail.mails)) == ("EHLO", 1)

    async def test_a_server_that_nobody_vouches_for_gets_nothing(self, make_rig, tmp_path):
        tls, _ = certificate(tmp_path)
        mail = MailServer(tls=tls, knows_sign_in=True)
        async with listening(mail), _by_mail(make_rig, f"smtp://a:b@localhost:{mail.port}") as rig:
            errors = await telling.send_trial(rig.context, OPERATOR)
        assert errors["mail"].startswith("The mail server could not be used")
        assert (mail.sign_ins, mail.mails) == ([], [])

    async def test_nor_does_one_elsewhere_that_offers_no_tls(self, make_rig):
        mail = MailServer(knows_sign_in=True)
        # Leads to this machine, but is no loopback address by its looks.
        async with listening(mail), _by_mail(make_rig, f"smtp://a:b@0.0.0.0:{mail.port}") as rig:
            errors = await telling.send_trial(rig.context, OPERATOR)
        assert errors["mail"].startswith("The mail server could not be used")
        assert (mail.sign_ins, mail.mails) == ([], [])

    async def test_a_server_that_is_not_there_is_said(self, make_rig):
        async with _by_mail(make_rig, "smtp://127.0.0.1:1") as rig:
            assert await telling.send_trial(rig.context, OPERATOR) == {
                "mail": "The mail server could not be used (SMTPConnectError)."
            }

    async def test_a_name_cannot_write_headers(self):
        facts = messages.content("Acme\r\nBcc: all@example.com", "http://x", (), ())
        assert messages.subject(facts | {"begun_kinds": {"driver_fails": 1}}).isprintable()


@asynccontextmanager
async def _by_mail(make_rig: Callable[..., Rig], url: str) -> AsyncIterator[Rig]:
    rig = make_rig(alert_smtp_url=url, alert_mail_from="a@acme.example", alert_mail_to="b@acme.example")
    async with rig.running():
        yield rig


class TestTrial:
    async def test_it_goes_every_way_and_is_remembered(self, told):
        rig, mail, webhook = told
        assert await telling.send_trial(rig.context, OPERATOR) == {"mail": None, "webhook": None}
        assert mail.mails[0]["Subject"] == "Acme Postgres: a trial of alerts"
        assert "olga@acme.example tries whether alerts arrive" in webhook.texts[0]
        async with rig.context.database.transaction() as session:
            assert await session.scalar(select(Event.actor).where(Event.kind == "alert_trial")) == OPERATOR.name

    async def test_a_way_that_fails_says_why(self, told):
        rig, mail, webhook = told
        webhook.answers.append(403)
        assert await telling.send_trial(rig.context, OPERATOR) == {"mail": None, "webhook": "The webhook answered 403."}
        assert len(mail.mails) == 1

    async def test_it_takes_an_operator_and_a_way(self, key_rig: Rig):
        with pytest.raises(NotAllowed):
            await telling.send_trial(key_rig.context, Actor(name="s", role=Role.SUPPORT))
        with pytest.raises(Refused, match="No way to the team is set up"):
            await telling.send_trial(key_rig.context, OPERATOR)


class TestPage:
    async def test_without_a_way_it_says_how_to_set_one_up(self, key_rig: Rig, panel_of):
        panel = await panel_of(Role.OPERATOR)
        page = await panel.http.get("/admin/alerts")
        assert "Nothing needs your attention" in page.text
        assert "ALERT_SMTP_URL" in page.text
        refused = await panel.http.post(
            "/admin/alerts/trial", data={"form_token": await panel.form_token("/admin/alerts")}
        )
        assert refused.status_code == 422
        assert "No way to the team is set up" in refused.text

    async def test_open_ones_lead_to_what_they_are_about_and_past_ones_are_paged(self, key_rig: Rig, panel_of):
        (uuid,) = await add(key_rig, failures=7)
        await alerts.check(key_rig.context)
        async with key_rig.context.database.transaction() as session:
            now = key_rig.clock()
            rows = [
                {"kind": "driver_fails", "subject": "", "text": f"past {number}.", "opened_at": now, "closed_at": now}
                for number in range(51)
            ]
            await session.execute(insert(Alert), rows)
        panel = await panel_of(Role.VIEWER)
        page = (await panel.http.get("/admin/alerts")).text
        assert f'href="/admin/resources/{uuid}"' in page
        assert ("past 1." in page, "past 0." in page) == (True, False)
        older = page.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
        assert "past 0." in (await panel.http.get(older)).text
        assert "Send a trial" not in page


async def test_the_alert_of_a_reconciliation_leads_there(key_rig: Rig):
    id_ = await reconciliation.ask(key_rig.context, OPERATOR)
    key_rig.simulator.faults.add("error", direction="platform", path="/api/v3/apps", status=418)
    await reconciliation.run(key_rig.context, id_)
    await alerts.check(key_rig.context)
    (alert,) = await alerts.open_alerts(key_rig.context)
    assert (alert.kind, messages.page(alert)) == ("reconciliation_failed", "/reconciliation")
    assert "418" in alert.text
