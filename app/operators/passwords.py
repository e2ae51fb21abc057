"""Passwords of operators: argon2id, through its library, outside the event loop and one at a time."""

import asyncio
import base64
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.errors import Refused

SHORTEST: Final = 12
LONGEST: Final = 200
# Twelve times the same letter is long, and among the first guesses.
_FEWEST_DIFFERENT: Final = 5

# 64 MiB and about 50 ms each: RFC 9106's choice where memory is limited.
_HASHER: Final = PasswordHasher()
# Many at once would take the memory of the process.
_ONE_AT_A_TIME: Final = ThreadPoolExecutor(1, "passwords")
# Checked in the place of an account that does not exist or has no password: both take the same time.
_NOBODY: Final = "$argon2id$v=19$m=65536,t=3,p=4$HfLVQqDlRsI+rDKh3UMj9A$XzEhBWeU5gtq77ppOEK+LRqy9ThSH3HAWkW5xNM2v2A"


async def hashed(password: str) -> str:
    """The password as it is stored.

    Raises:
        Refused: it is too short, too long or the same few letters again and again.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise Refused(f"A password has {SHORTEST} to {LONGEST} characters.")
    if len(set(password)) < _FEWEST_DIFFERENT:
        raise Refused(f"A password has at least {_FEWEST_DIFFERENT} different characters.")
    return await asyncio.get_running_loop().run_in_executor(_ONE_AT_A_TIME, _HASHER.hash, password)


def made_up() -> str:
    """A password for once, easy to read out: 80 random bits."""
    letters = base64.b32encode(secrets.token_bytes(10)).decode().lower()
    return "-".join(letters[i : i + 4] for i in range(0, len(letters), 4))


async def matches(password: str, stored: str | None) -> bool:
    """Whether this is the password that was stored; in the same time if there is none."""
    if len(password) > LONGEST:
        return False
    is_right = await asyncio.get_running_loop().run_in_executor(_ONE_AT_A_TIME, _verify, stored or _NOBODY, password)
    return is_right and stored is not None


def is_outdated(stored: str) -> bool:
    """Whether it should be hashed anew, with today's parameters, at the next sign-in."""
    return _HASHER.check_needs_rehash(stored)


def _verify(stored: str, password: str) -> bool:
    try:
        return _HASHER.verify(stored, password)
    except (InvalidHashError, VerificationError):
        return False
