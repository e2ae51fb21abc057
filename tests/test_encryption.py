"""Secrets at rest: what is sealed opens only as it was, for what it was, with a key of the ring."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.encryption import KeyRing, WrongKeyError

OLD, NEW = b"o" * 32, b"n" * 32
texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(texts, texts)
def test_what_is_sealed_opens_to_the_same(value, purpose):
    ring = KeyRing([NEW])
    assert ring.open(ring.seal(value, purpose), purpose) == value


@given(texts, texts, texts)
def test_for_another_purpose_it_does_not_open(value, purpose, other):
    ring = KeyRing([NEW])
    if purpose != other:
        with pytest.raises(WrongKeyError, match="altered, or belongs to another row"):
            ring.open(ring.seal(value, purpose), other)


@given(texts, st.data())
def test_no_bit_of_it_can_be_changed(value, data):
    ring = KeyRing([NEW])
    sealed = bytearray(ring.seal(value, "p"))
    position = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[position // 8] ^= 1 << position % 8
    with pytest.raises(WrongKeyError):
        ring.open(bytes(sealed), "p")


@given(texts, st.data())
def test_no_part_of_it_can_be_cut_off(value, data):
    ring = KeyRing([NEW])
    sealed = ring.seal(value, "p")
    for part in (sealed[: data.draw(st.integers(0, len(sealed) - 1))], sealed + b"x"):
        with pytest.raises(WrongKeyError):
            ring.open(part, "p")


@given(st.binary(max_size=100))
def test_nonsense_does_not_open(sealed):
    for noise in (sealed, KeyRing([NEW]).seal("", "p")[:5] + sealed):
        with pytest.raises(WrongKeyError):
            KeyRing([NEW]).open(noise, "p")


def test_the_same_value_is_sealed_differently_each_time():
    ring = KeyRing([NEW])
    assert len({ring.seal("value", "p") for _ in range(100)}) == 100


def test_the_sealed_form_is_as_documented():
    sealed = KeyRing([NEW]).seal("value", "p")
    assert sealed[0] == 1
    assert sealed[1:5].hex() == KeyRing([NEW]).newest_fingerprint
    assert len(sealed) == 1 + 4 + 12 + len("value") + 16
    assert b"value" not in sealed


class TestRing:
    def test_the_newest_key_seals_and_all_open(self):
        old, both, new = KeyRing([OLD]), KeyRing([NEW, OLD]), KeyRing([NEW])
        before = old.seal("value", "p")
        assert both.open(before, "p") == "value"
        assert new.open(both.seal("value", "p"), "p") == "value"
        with pytest.raises(WrongKeyError, match="not in ENCRYPTION_KEYS"):
            new.open(before, "p")
        with pytest.raises(WrongKeyError, match="not in ENCRYPTION_KEYS"):
            old.open(both.seal("value", "p"), "p")

    def test_it_knows_what_the_newest_key_sealed(self):
        both = KeyRing([NEW, OLD])
        assert both.is_current(both.seal("value", "p"))
        assert not both.is_current(KeyRing([OLD]).seal("value", "p"))
        assert not both.is_current(b"")

    def test_keys_come_in_url_safe_base64(self):
        key = bytes(range(224, 256))
        text = base64.urlsafe_b64encode(key).decode()
        assert "-" in text or "_" in text
        assert KeyRing.from_base64([text]).open(KeyRing([key]).seal("value", "p"), "p") == "value"

    def test_nothing_printed_of_it_is_secret(self):
        ring = KeyRing([NEW, OLD])
        assert repr(ring) == "<KeyRing of 2>"
        assert "nnn" not in repr(ring) + ring.newest_fingerprint

    def test_an_error_names_the_purpose_and_no_value(self):
        with pytest.raises(WrongKeyError) as caught:
            KeyRing([NEW]).open(KeyRing([OLD]).seal("hunter2", "resources.seed:1"), "resources.seed:1")
        assert "resources.seed:1" in str(caught.value)
        assert "hunter2" not in str(caught.value)
