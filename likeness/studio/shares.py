"""Links by which a model may be looked at and fetched without a key: read-only, until they expire or are revoked.

A link holds a token of 256 bits; only its SHA-256 is kept, so whoever reads the database cannot make the link.
"""

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass

from sqlalchemy import delete, select

from likeness.errors import InputError, NotFound
from likeness.store.tables import Model, Share
from likeness.studio import models
from likeness.studio.workspace import Studio

PATH = "/shared"  # links are PATH/TOKEN
USUAL_DAYS, MOST_DAYS = 7.0, 365.0
MOST_LINKS = 100  # of one model
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
    if not 0 < days <= MOST_DAYS:
        raise InputError(f"days: {days:g} is out of range. Fix: more than 0, up to {MOST_DAYS:g}")
    model = models.get(studio, model_id)
    token = secrets.token_urlsafe(_BYTES)
    row = Share(model_id=model.id, token_sha256=_hash(token), expires=time.time() + days * 86400)
    with studio.database.session() as session:
        session.execute(delete(Share).where(Share.expires < time.time()))
        if len(list(session.scalars(select(Share.id).where(Share.model_id == model.id)))) >= MOST_LINKS:
            raise InputError(f"model: {model.name} has {MOST_LINKS} links. Fix: revoke some first")
        session.add(row)
    return Link(row, token)


def listed(studio: Studio, model_id: str | None = None) -> list[Share]:
    """Links that work still, newest first; of one model or of all."""
    query = select(Share).where(Share.expires > time.time()).order_by(Share.created.desc())
    if model_id is not None:
        query = query.where(Share.model_id == model_id)
    with studio.database.reading() as session:
        return list(session.scalars(query))


def revoke(studio: Studio, share_id: str) -> None:
    """Raises NotFound where there is no such link."""
    with studio.database.session() as session:
        row = session.get(Share, share_id)
        if row is None:
            raise NotFound("link: is not there any more. Fix: reload the list")
        session.delete(row)


def shared(studio: Studio, token: str) -> tuple[Model, Share]:
    """The model of a link. Raises NotFound, in the same words, where the link is unknown, expired or revoked, or its
    model is in the bin."""
    wanted = _hash(token)
    with studio.database.reading() as session:
        row = session.scalar(select(Share).where(Share.token_sha256 == wanted))
        model = session.get(Model, row.model_id) if row else None
    known = hmac.compare_digest(row.token_sha256 if row else "0" * len(wanted), wanted)
    if row is None or model is None or not known or row.expires <= time.time() or model.deleted is not None:
        raise NotFound("nothing is here any more, or never was. Fix: ask for a new link")
    return model, row


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
