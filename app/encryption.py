"""Secrets at rest: a ring of keys, AES-256-GCM, and the canary that stops a start with the wrong keys.

A sealed value is `1 | key fingerprint (4 bytes) | nonce (12) | ciphertext and tag`. Its purpose (table, column and row)
is authenticated with it, so a sealed value copied to another row or column does not open there. The newest key seals,
every key in the ring opens. A new key is added at the end before it is put in front, because not all processes restart
in the same moment; then `python -m app reencrypt`, and the old one may go: see docs/settings.md.
"""

import base64
import hashlib
import os
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_VERSION: Final = b"\x01"
_FINGERPRINT_BYTES: Final = 4
_NONCE_BYTES: Final = 12
_HEADER_BYTES: Final = len(_VERSION) + _FINGERPRINT_BYTES


class WrongKeyError(Exception):
    """A sealed value does not open: its key is not in the ring, or it was moved or altered. Never holds the value."""


class KeyRing:
    """The encryption keys, newest first."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = {_fingerprint(key): AESGCM(key) for key in keys}
        self._newest = _fingerprint(keys[0])

    @classmethod
    def from_base64(cls, keys: Sequence[str]) -> "KeyRing":
        """A ring of keys that are each 32 bytes in URL-safe base64."""
        return cls([base64.urlsafe_b64decode(key) for key in keys])

    def __repr__(self) -> str:
        return f"<KeyRing of {len(self._ciphers)}>"

    @property
    def newest_fingerprint(self) -> str:
        """Eight hex digits that name the key which seals now; they tell nothing about the key itself."""
        return self._newest.hex()

    def seal(self, value: str, purpose: str) -> bytes:
        """`value` encrypted with the newest key for `purpose`."""
        nonce = os.urandom(_NONCE_BYTES)
        ciphertext = self._ciphers[self._newest].encrypt(nonce, value.encode(), purpose.encode())
        return _VERSION + self._newest + nonce + ciphertext

    def open(self, sealed: bytes, purpose: str) -> str:
        """The value that was sealed for `purpose`.

        Raises:
            WrongKeyError: no key in the ring opens it for this purpose.
        """
        cipher = self._ciphers.get(sealed[len(_VERSION) : _HEADER_BYTES])
        if sealed[: len(_VERSION)] != _VERSION or cipher is None:
            raise WrongKeyError(f"{purpose} was sealed with a key that is not in ENCRYPTION_KEYS")
        nonce, ciphertext = sealed[_HEADER_BYTES : _HEADER_BYTES + _NONCE_BYTES], sealed[_HEADER_BYTES + _NONCE_BYTES :]
        try:
            return cipher.decrypt(nonce, ciphertext, purpose.encode()).decode()
        except (InvalidTag, ValueError):  # ValueError: not even a whole nonce is left of it
            raise WrongKeyError(f"{purpose} does not open: it was altered, or belongs to another row") from None

    def is_current(self, sealed: bytes) -> bool:
        """Whether the newest key sealed it."""
        return sealed[:_HEADER_BYTES] == _VERSION + self._newest


def _fingerprint(key: bytes) -> bytes:
    return hashlib.sha256(b"addon key fingerprint" + key).digest()[:_FINGERPRINT_BYTES]


_CANARY: Final = "the canary sings"


async def check_canaries(session: AsyncSession, keys: KeyRing) -> None:
    """Make sure that every key ever used here is in the ring, and leave a canary for the newest.

    There is one canary row per key that may have sealed something, so that leaving out an old key too early stops the
    start as surely as a wrong new one.

    Raises:
        WrongKeyError: a canary does not open; nothing may start.
    """
    for fingerprint, sealed in await session.execute(text("SELECT fingerprint, sealed FROM encryption_canaries")):
        if keys.open(bytes(sealed), _canary_purpose(fingerprint)) != _CANARY:
            raise WrongKeyError(f"the canary of key {fingerprint} holds something else")
    newest = keys.newest_fingerprint
    await session.execute(
        text("INSERT INTO encryption_canaries (fingerprint, sealed) VALUES (:f, :s) ON CONFLICT DO NOTHING"),
        {"f": newest, "s": keys.seal(_CANARY, _canary_purpose(newest))},
    )


async def forget_old_canaries(session: AsyncSession, keys: KeyRing) -> None:
    """Called when everything is sealed with the newest key: the older keys may now leave the ring."""
    await session.execute(
        text("DELETE FROM encryption_canaries WHERE fingerprint <> :f"), {"f": keys.newest_fingerprint}
    )


def _canary_purpose(fingerprint: str) -> str:
    return f"encryption_canaries.sealed:{fingerprint}"
