"""The environment: every setting, what is wrong with a wrong one, and that docs/settings.md tells the truth."""

import base64
import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig import environment

from app.settings import BadSettingsError, Settings, SsoStrength, read_database_url, read_settings

DOCS = Path(__file__).parent.parent / "docs" / "settings.md"
DATABASE_URL = "postgres://u:hunter2@db.example.com:5432/addon"
GOOD = environment(DATABASE_URL)
REQUIRED = [name for name, field in Settings.model_fields.items() if field.is_required()]
KEY = base64.urlsafe_b64encode(b"\xff" * 32).decode()
HEROKU_URLS = ["heroku_api_url", "heroku_id_url", "heroku_addons_url"]


def read(**changes: str) -> Settings:
    return read_settings(GOOD | {name.upper(): value for name, value in changes.items()})


def complaint(**changes: str) -> str:
    with pytest.raises(BadSettingsError) as caught:
        read(**changes)
    return str(caught.value)


class TestMissing:
    @pytest.mark.parametrize("name", REQUIRED)
    @pytest.mark.parametrize("value", [None, ""])
    def test_each_required_one_is_named(self, name, value):
        values = {key: text for key, text in GOOD.items() if key != name.upper()}
        with pytest.raises(BadSettingsError) as caught:
            read_settings(values if value is None else values | {name.upper(): value})
        assert str(caught.value) == f"{name.upper()} is not set."

    def test_the_process_environment_is_read_the_same_way(self, monkeypatch):
        for name, value in GOOD.items():
            monkeypatch.setenv(name, value)
        assert read_settings() == read_settings(GOOD)
        monkeypatch.setenv("ADDON_PASSWORD", "")
        with pytest.raises(BadSettingsError, match=r"^ADDON_PASSWORD is not set\.$"):
            read_settings()

    @pytest.mark.parametrize("name", REQUIRED)
    def test_what_the_process_has_does_not_stand_in_for_it(self, name, monkeypatch):
        monkeypatch.setenv(name.upper(), GOOD[name.upper()])
        self.test_each_required_one_is_named(name, None)

    @pytest.mark.parametrize("name", sorted(set(Settings.model_fields) - set(REQUIRED)))
    def test_each_other_one_may_be_empty(self, name):
        assert getattr(read(**{name: ""}), name) == Settings.model_fields[name].default


MALFORMED = [
    ("database_url", "mysql://u:hunter2@h/db"),
    ("database_url", "hunter2"),
    ("database_url", "postgres://"),
    ("database_url", "postgres://u:p@h:hunter2/db"),
    ("postgres_driver_admin_url", "http://hunter2"),
    ("port", "hunter2"),
    ("port", "-1"),
    ("port", "65536"),
    ("public_url", "hunter2"),
    ("public_url", "ftp://hunter2"),
    ("public_url", "https://"),
    ("public_url", "https://hunter2/?a=b"),
    ("public_url", "https://hunter2/#a"),
    ("public_url", "https://user:hunter2@example.com"),
    ("public_url", "https://hunter2:99999"),
    ("public_url", "https://[hunter2"),
    ("public_url", "https://hunter2\n.com"),
    ("public_url", "https://hunter2 .com"),
    ("addon_password", "hunter2"),
    ("addon_password", "hunter2" * 11),
    ("addon_password_previous", "hunter2"),
    ("encryption_keys", "hunter2"),
    ("encryption_keys", " , "),
    ("encryption_keys", f"{KEY},hunter2"),
    ("encryption_keys", base64.urlsafe_b64encode(b"hunter2" * 5).decode()),
    ("encryption_keys", KEY.replace("=", "é")),
    ("secret_keys", "hunter2"),
    ("secret_keys", ","),
    ("secret_keys", "s" * 32 + ",hunter2"),
    ("sso_strength", "hunter2"),
    ("sso_strength", "3"),
    ("log_format", "hunter2"),
    ("metrics_token", "hunter2"),
    ("otel_exporter_otlp_endpoint", "hunter2"),
    ("otel_exporter_otlp_endpoint", "http://user:hunter2@example.com"),
    *(("deprovision_grace", value) for value in ("hunter2", "72", "-1h", "1.5d", "3 weeks", "999999d", "h")),
    *(("batch_per_minute", value) for value in ("hunter2", "0", "-1", "10001")),
    ("worker_in_web", "hunter2"),
    ("heroku_webhooks", "hunter2"),
    *(
        ("alert_smtp_url", value)
        for value in ("hunter2", "http://hunter2", "smtp://", "smtp://h:hunter2", "smtp://a b")
    ),
    *(("alert_webhook_url", value) for value in ("hunter2", "http://hunter2.example.com", "https://hunter2\n.com")),
    *(
        ("alert_mail_from", value)
        for value in ("hunter2", "a@b\r\nBcc: hunter2@c", "Hunter <hunter2@a.b>", "a@b,hunter2@c")
    ),
    *(("alert_mail_to", value) for value in ("hunter2", "a@b, hunter2", ",", "a@b hunter2@c", "a@b\nhunter2@c")),
    *((name, "http://hunter2.example.com") for name in HEROKU_URLS),
]


class TestMalformed:
    @pytest.mark.parametrize(("name", "value"), MALFORMED)
    def test_each_is_one_sentence_that_names_it_and_never_its_value(self, name, value):
        sentence = complaint(**{name: value})
        assert re.fullmatch(rf"{name.upper()}: [^\n]+[^.]\.", sentence)
        assert "hunter2" not in sentence

    def test_equal_passwords_during_a_rotation_are_a_mistake(self):
        sentence = complaint(addon_password_previous=GOOD["ADDON_PASSWORD"])
        assert sentence == "ADDON_PASSWORD_PREVIOUS must differ from ADDON_PASSWORD."

    def test_mail_needs_a_server_a_sender_and_somebody_to_get_it(self):
        whole = {
            "alert_smtp_url": "smtp://h",
            "alert_mail_from": "a@b.example",
            "alert_mail_to": "c@d.example, e@f.example",
        }
        assert read(**whole).alert_mail_to == ["c@d.example", "e@f.example"]
        for name in whole:
            assert "ALERT_SMTP_URL, ALERT_MAIL_FROM and ALERT_MAIL_TO" in complaint(**whole | {name: ""})

    @given(st.sampled_from(sorted(Settings.model_fields)), st.text(min_size=12, max_size=60))
    def test_no_value_whatever_gets_into_the_sentence(self, name, value):
        value = f"hunter2{value}"
        sentence = ""
        try:
            read(**{name: value})
        except BadSettingsError as error:
            sentence = str(error)
        assert "hunter2" not in sentence
        assert "\n" not in sentence


class TestValues:
    @pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
    def test_every_way_to_write_postgres_is_one(self, scheme):
        settings = read(database_url=f"{scheme}://u:p%40ss@h:6543/db?sslmode=require")
        assert settings.database_url.get_secret_value() == "postgresql+psycopg://u:p%40ss@h:6543/db?sslmode=require"

    @pytest.mark.parametrize(
        ("text", "grace"),
        [("72h", timedelta(days=3)), ("3d", timedelta(days=3)), (" 90m ", timedelta(minutes=90)), ("0", timedelta(0))],
    )
    def test_a_grace_has_a_unit(self, text, grace):
        assert read(deprovision_grace=text).deprovision_grace == grace

    @pytest.mark.parametrize("name", HEROKU_URLS)
    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "[::1]", "localhost:5100"])
    def test_plain_http_is_for_this_machine(self, name, host):
        assert getattr(read(**{name: f"http://{host}/"}), name) == f"http://{host}"

    @pytest.mark.parametrize("name", HEROKU_URLS)
    @pytest.mark.parametrize(
        "host",
        ["api.heroku.com", "localhost.example.com", "127.0.0.1.example.com", "127.1", "0.0.0.0", "10.0.0.1", "[::]"],
    )  # fmt: skip
    def test_and_for_no_other(self, name, host):
        assert complaint(**{name: f"http://{host}"}).startswith(f"{name.upper()}: must be https")

    @pytest.mark.parametrize(
        ("given", "kept", "is_https"),
        [
            ("https://addon.example.com", "https://addon.example.com", True),
            ("https://addon.example.com/", "https://addon.example.com", True),
            ("HTTPS://Addon.Example.com:443/", "https://addon.example.com", True),
            ("https://addon.example.com:8443", "https://addon.example.com:8443", True),
            ("http://localhost:5000", "http://localhost:5000", False),
            ("http://[::1]:80", "http://[::1]", False),
        ],
    )
    def test_the_public_address_is_kept_as_browsers_write_it(self, given, kept, is_https):
        settings = read(public_url=given)
        assert (settings.public_url, settings.is_https) == (kept, is_https)

    def test_keys_are_comma_separated_with_any_spaces(self):
        settings = read(encryption_keys=f" {KEY} ,{KEY[::-1][1:]}=,", secret_keys=f"{'a' * 32},  {'b' * 32}")
        assert [len(base64.urlsafe_b64decode(key.get_secret_value())) for key in settings.encryption_keys] == [32, 32]
        assert [key.get_secret_value()[0] for key in settings.secret_keys] == ["a", "b"]

    @pytest.mark.parametrize("password", ["p" * 8, "p" * 72, "with:colon", "with, comma", "päßwörter"])
    def test_passwords_are_kept_as_they_are(self, password):
        assert read(addon_password=password).addon_password.get_secret_value() == password

    @pytest.mark.parametrize("word", ["user", "USER", "resource", "legacy"])
    def test_sso_strength_is_a_word(self, word):
        assert read(sso_strength=word).sso_strength is SsoStrength[word.upper()]

    @pytest.mark.parametrize(("word", "value"), [("true", True), ("1", True), ("false", False), ("0", False)])
    def test_the_worker_may_be_in_web(self, word, value):
        assert read(worker_in_web=word).worker_in_web is value

    def test_unknown_ones_are_none_of_our_business(self):
        assert read(path="/bin", heroku_app_name="x") == read()

    def test_nothing_secret_is_in_a_printed_one(self):
        printed = f"{read()!r} {read()}"
        for name in ("ADDON_PASSWORD", "ADDON_SSO_SALT", "HEROKU_CLIENT_SECRET", "ENCRYPTION_KEYS", "SECRET_KEYS"):
            assert GOOD[name] not in printed
        assert "hunter2" not in printed

    def test_they_never_change(self):
        with pytest.raises(ValueError, match="frozen"):
            read().port = 1


class TestDatabaseUrlAlone:
    def test_it_is_all_that_migrations_need(self, monkeypatch):
        monkeypatch.setenv("DATABASE_URL", DATABASE_URL)
        assert read_database_url() == "postgresql+psycopg://u:hunter2@db.example.com:5432/addon"

    def test_missing_it_is_named(self, monkeypatch):
        monkeypatch.delenv("DATABASE_URL", raising=False)
        with pytest.raises(BadSettingsError, match=r"^DATABASE_URL is not set\.$"):
            read_database_url()

    @pytest.mark.parametrize("value", ["", "hunter2", "postgres://u:hunter2@h:x/db"])
    def test_malformed_it_is_named_without_its_value(self, monkeypatch, value):
        monkeypatch.setenv("DATABASE_URL", value)
        with pytest.raises(BadSettingsError, match=r"^DATABASE_URL\b.*\.$") as caught:
            read_database_url()
        assert "hunter2" not in str(caught.value)


class TestDocumentation:
    @pytest.fixture
    def rows(self) -> dict[str, tuple[str, str, str]]:
        """Name to default, example and meaning."""
        lines = [line.strip("|").split("|") for line in DOCS.read_text().splitlines() if line.startswith("| `")]
        rows = ([cell.strip() for cell in line] for line in lines)
        return {name.strip("`"): (default, example, meaning) for name, default, example, meaning in rows}

    def test_every_setting_is_there_and_none_that_does_not_exist(self, rows):
        assert set(rows) == {name.upper() for name in Settings.model_fields}

    def test_each_has_a_meaning(self, rows):
        assert all(meaning.endswith(".") for _, _, meaning in rows.values())

    @pytest.mark.parametrize("name", Settings.model_fields)
    def test_the_defaults_are_true(self, rows, name):
        told = rows[name.upper()][0]
        field = Settings.model_fields[name]
        if field.is_required():
            assert told == "required"
        elif field.default is not None:
            default = field.default.name if isinstance(field.default, SsoStrength) else str(field.default)
            if isinstance(field.default, timedelta):
                default = f"{field.default.days}d"
            assert told == f"`{default if default.startswith('http') else default.lower()}`"
        else:
            assert told not in {"", "required"}

    def test_the_examples_are_accepted(self, rows):
        for name, (_, example, _) in rows.items():
            if example.startswith("`") and "prints" not in example:
                assert read(**{name.lower(): example.strip("`")})

    def test_every_secret_has_a_recipe_for_its_rotation(self):
        recipes = DOCS.read_text().partition("## Rotating secrets")[2]
        for name, field in Settings.model_fields.items():
            if "Secret" in str(field.annotation) or "Secret" in str(field.metadata):
                assert name.upper() in recipes
