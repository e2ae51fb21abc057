"""addon-manifest.json: Heroku's rules, and that the one in this repository keeps them and no secret.

https://devcenter.heroku.com/articles/add-on-manifest
"""

import json

import pytest

from app.context import MANIFEST
from app.manifest import BadManifestError, Manifest, read_manifest

GOOD = {
    "id": "acme-mail",
    "name": "Acme Mail",
    "api": {"config_vars": ["ACME_MAIL_URL"], "regions": ["us"], "requires": ["attachable"]},
}


@pytest.fixture
def read(tmp_path):
    def read(content=GOOD, **api) -> Manifest:
        path = tmp_path / "addon-manifest.json"
        if isinstance(content, dict) and isinstance(content.get("api"), dict):
            content = content | {"api": {k: v for k, v in (content["api"] | api).items() if v is not ...}}
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return read_manifest(path)

    return read


class TestOurs:
    def test_it_keeps_the_rules(self):
        assert read_manifest(MANIFEST).id == json.loads(MANIFEST.read_text())["id"]

    def test_it_holds_placeholders_where_secrets_belong(self):
        api = json.loads(MANIFEST.read_text())["api"]
        for name in ("password", "sso_salt"):
            assert api[name] == f"replace-me-ADDON_{name.upper()}-overrides"

    def test_its_addresses_are_https_and_where_the_doors_are(self):
        api = json.loads(MANIFEST.read_text())["api"]
        assert api["production"]["base_url"].startswith("https://")
        for place in ("production", "test"):
            assert api[place]["base_url"].endswith("/heroku/resources")
            assert api[place]["sso_url"].endswith("/sso/login")
        assert "username" not in api

    def test_heroku_accepts_its_password_in_length(self):
        assert 8 <= len(json.loads(MANIFEST.read_text())["api"]["password"]) <= 72


class TestRules:
    def test_a_good_one_is_read(self, read):
        manifest = read()
        assert (manifest.name, manifest.prefix) == ("Acme Mail", "ACME_MAIL")

    def test_fields_we_do_not_know_are_none_of_our_business(self, read):
        assert read(GOOD | {"$base": 17, "cli_plugin_name": "x"}, version="3", something={"new": 1}).id == "acme-mail"

    @pytest.mark.parametrize("id_", ["", "Acme", "acme mail", "acme_mail", "-acme", "acme-", "a--b", "acme\n", "ä", 5])
    def test_an_id_is_a_slug(self, read, id_):
        with pytest.raises(BadManifestError, match=r"^addon-manifest\.json, id: .*\.$"):
            read(GOOD | {"id": id_})

    @pytest.mark.parametrize(
        "name",
        [
            "MAIL_URL",
            "acme_mail_url",
            "ACME_MAILURL",
            "ACME_MAIL-URL",
            "ACME_MAIL_URL\n",
            "ACME_MAIL_ÜRL",
            "",
            "ACME_MAIL",
        ],
    )
    def test_a_config_var_is_in_capitals_and_begins_with_the_prefix(self, read, name):
        with pytest.raises(BadManifestError, match="must be in capitals and begin with ACME_MAIL_"):
            read(config_vars=["ACME_MAIL_URL", name])

    def test_the_prefix_may_be_another(self, read):
        assert read(config_vars=["MAIL_URL"], config_vars_prefix="MAIL").prefix == "MAIL"

    @pytest.mark.parametrize("field", ["config_vars", "regions"])
    @pytest.mark.parametrize("value", [..., [], None, "us"])
    def test_config_vars_and_regions_must_be_listed(self, read, field, value):
        with pytest.raises(BadManifestError, match=rf"api\.{field}: "):
            read(**{field: value})

    @pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b"null", b'"x"', b"{}", b'{"id": "a", "api": 5}'])
    def test_what_is_no_manifest_is_named(self, read, content):
        with pytest.raises(BadManifestError, match=r"^addon-manifest\.json, .*\.$"):
            read(content)

    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(BadManifestError, match=r"^nothing\.json: No such file or directory\.$"):
            read_manifest(tmp_path / "nothing.json")

    def test_no_sentence_repeats_what_is_in_it(self, read):
        with pytest.raises(BadManifestError) as caught:
            read(GOOD | {"id": "Hunter2 hunter2"}, password="hunter2")
        assert "unter2" not in str(caught.value)


class TestRegions:
    @pytest.mark.parametrize(
        ("sold", "region", "is_sold"),
        [
            (["us"], "amazon-web-services::us-east-1", True),
            (["us"], "amazon-web-services::eu-west-1", False),
            (["us", "eu"], "amazon-web-services::eu-west-1", True),
            (["dublin"], "amazon-web-services::eu-west-1", True),
            (["tokyo"], "amazon-web-services::ap-northeast-1", True),
            (["ap-south-2"], "amazon-web-services::ap-south-2", True),
            (["us"], "us", False),
            (["us"], "", False),
            (["*"], "moon::sea-of-tranquility", True),
        ],
    )
    def test_a_region_is_sold_if_the_manifest_names_it(self, read, sold, region, is_sold):
        assert read(regions=sold).sells_in(region) is is_sold
