"""API keys: made once, kept as hashes, checked on every call."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Sequence
from typing import Literal, get_args

from sqlalchemy import select, update

from likeness.errors import Conflict, InputError, NotFound
from likeness.store.tables import ApiKey
from likeness.studio.workspace import Studio

Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)  # each may all that those before it may
PREFIX = "likeness_"  # so that a key is known for one wherever it turns up
USED_EVERY_SECONDS = 60  # that the time of a key's last use is written at most
LONGEST_NAME = 80


def create(studio: Studio, name: str, scope: Scope = "write") -> tuple[ApiKey, str]:
    """A new key's row, and the key itself, which is shown this once.

    'read' looks, 'write' also changes and trains, 'admin' also makes keys and changes settings. Raises InputError for
    another scope or a name that is empty or too long, Conflict where a working key has the name.
    """
    name = name.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InputError(f"name: is empty, too long or not printable. Fix: 1 to {LONGEST_NAME} letters that tell whose")
    if scope not in SCOPES:
        raise InputError(f"scope: '{scope}' is not known. Fix: one of {', '.join(SCOPES)}")
    secret = PREFIX + secrets.token_urlsafe(32)
    row = ApiKey(name=name, sha256=_hash(secret), scopes=list(SCOPES[: SCOPES.index(scope) + 1]))
    with studio.database.session() as session:
        if session.scalar(select(ApiKey).where(ApiKey.name == name, ApiKey.revoked.is_(None))):
            raise Conflict(f"name: a key is called '{name}' already. Fix: another name, or revoke that one")
        session.add(row)
    return row, secret


def listed(studio: Studio) -> list[ApiKey]:
    """All keys, the newest first, with those that were revoked."""
    with studio.database.reading() as session:
        return list(session.scalars(select(ApiKey).order_by(ApiKey.created.desc())))


def revoke(studio: Studio, key: str) -> ApiKey:
    """Let a key, by id or by name, open nothing from now on. Raises NotFound where no working key has it."""
    with studio.database.session() as session:
        found = session.scalar(
            select(ApiKey).where((ApiKey.id == key) | (ApiKey.name == key), ApiKey.revoked.is_(None))
        )
        if found is None:
            raise NotFound(f"no working key '{key}'. Fix: take an id or a name from the list of keys")
        found.revoked = time.time()
    return found


def any_work(studio: Studio, scopes: Sequence[Scope] = ()) -> bool:
    """Whether there is a key that was not revoked, with these scopes."""
    return any(key.revoked is None and set(scopes) <= set(key.scopes) for key in listed(studio))


def check(studio: Studio, secret: str) -> ApiKey | None:
    """The working key that this is, or None."""
    digest = _hash(secret)
    with studio.database.reading() as session:
        found = session.scalar(select(ApiKey).where(ApiKey.sha256 == digest, ApiKey.revoked.is_(None)))
    if found is None or not hmac.compare_digest(found.sha256, digest):
        return None
    now = time.time()
    if found.used is None or now - found.used > USED_EVERY_SECONDS:
        with studio.database.session() as session:
            session.execute(update(ApiKey).where(ApiKey.id == found.id).values(used=now))
    return found


def _hash(secret: str) -> str:
    """Of 32 random bytes, so it takes no salt and no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
