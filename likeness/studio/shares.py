"""Links by which a model or a voice may be looked at and fetched without a key: read-only, until they expire or are
revoked.

A link holds a token of 256 bits; only its SHA-256 is kept, so whoever reads the database cannot make the link.
"""

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass

from sqlalchemy import delete, func, select

from likeness.errors import InputError, NotFound
from likeness.store.tables import Model, Share, Voice
from likeness.studio import models, voices
from likeness.studio.workspace import Studio

PATH = "/shared"  # links are PATH/TOKEN
USUAL_DAYS, MOST_DAYS = 7.0, 365.0
MOST_LINKS = 100  # of one model or voice
_BYTES = 32


@dataclass(frozen=True)
class Link:
    """A new link. `token` is told this once and never again."""

    share: Share
    token: str

    @property
    def path(self) -> str:
        return f"{PATH}/{self.token}"


def share(studio: Studio, model_id: str, days: float = USUAL_DAYS) -> Link:
    """Make a link to a model. Raises NotFound, and InputError for a time that is none or too long."""
    _check_days(days)
    model = models.get(studio, model_id)
    return _linked(studio, Share(model_id=model.id), days, f"model: {model.name}")


def share_voice(studio: Studio, voice_id: str, days: float = USUAL_DAYS) -> Link:
    """Make a link to a voice. Raises as `share` does."""
    _check_days(days)
    voice = voices.get(studio, voice_id)
    return _linked(studio, Share(voice_id=voice.id), days, f"voice: {voice.name}")


def _check_days(days: float) -> None:
    if not 0 < days <= MOST_DAYS:
        raise InputError(f"days: {days:g} is out of range. Fix: more than 0, up to {MOST_DAYS:g}")


def _linked(studio: Studio, row: Share, days: float, of: str) -> Link:
    token = secrets.token_urlsafe(_BYTES)
    row.token_sha256, row.expires = _hash(token), time.time() + days * 86400
    same = (Share.model_id == row.model_id) if row.voice_id is None else (Share.voice_id == row.voice_id)
    with studio.database.session() as session:
        session.execute(delete(Share).where(Share.expires < time.time()))
        if (session.scalar(select(func.count()).select_from(Share).where(same)) or 0) >= MOST_LINKS:
            raise InputError(f"{of} has {MOST_LINKS} links. Fix: revoke some first")
        session.add(row)
    return Link(row, token)


def listed(studio: Studio, model_id: str | None = None, voice_id: str | None = None) -> list[Share]:
    """Links that work still, newest first; of one model, of one voice, or of all."""
    query = select(Share).where(Share.expires > time.time()).order_by(Share.created.desc())
    if model_id is not None:
        query = query.where(Share.model_id == model_id)
    if voice_id is not None:
        query = query.where(Share.voice_id == voice_id)
    with studio.database.reading() as session:
        return list(session.scalars(query))


def revoke(studio: Studio, share_id: str) -> None:
    """Raises NotFound where there is no such link."""
    with studio.database.session() as session:
        row = session.get(Share, share_id)
        if row is None:
            raise NotFound("link: is not there any more. Fix: reload the list")
        session.delete(row)


def opened(studio: Studio, token: str) -> tuple[Model | Voice, Share]:
    """What a link leads to. Raises NotFound, in the same words, where the link is unknown, expired or revoked, or what
    it leads to is in the bin."""
    wanted = _hash(token)
    with studio.database.reading() as session:
        row = session.scalar(select(Share).where(Share.token_sha256 == wanted))
        found = None
        if row is not None:
            found = session.get(Model, row.model_id) if row.voice_id is None else session.get(Voice, row.voice_id)
    known = hmac.compare_digest(row.token_sha256 if row else "0" * len(wanted), wanted)
    if row is None or found is None or not known or row.expires <= time.time() or found.deleted is not None:
        raise _nothing()
    return found, row


def shared(studio: Studio, token: str) -> tuple[Model, Share]:
    """The model of a link. Raises NotFound as `opened` does, also where it leads to a voice."""
    found, row = opened(studio, token)
    if not isinstance(found, Model):
        raise _nothing()
    return found, row


def shared_voice(studio: Studio, token: str) -> tuple[Voice, Share]:
    """The voice of a link. Raises NotFound as `opened` does, also where it leads to a model."""
    found, row = opened(studio, token)
    if not isinstance(found, Voice):
        raise _nothing()
    return found, row


def _nothing() -> NotFound:
    return NotFound("nothing is here any more, or never was. Fix: ask for a new link")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
