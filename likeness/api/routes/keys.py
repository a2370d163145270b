"""API keys: who may call."""

from fastapi import APIRouter, Response
from pydantic import Field

from likeness.api.shapes import Asked, Opened, Told
from likeness.studio import keys

router = APIRouter(prefix="/keys", tags=["keys"])


class KeyAsked(Asked):
    name: str = Field(min_length=1, max_length=keys.LONGEST_NAME, description="Tells whose key it is.")
    scope: keys.Scope = Field(default="write", description="read looks; write changes and trains; admin makes keys.")


class KeyTold(Told):
    id: str
    name: str
    scopes: list[keys.Scope]
    created: float
    used: float | None
    revoked: float | None


class KeyMade(KeyTold):
    key: str = Field(description="The key itself. It is shown this once.")


@router.get("")
def list_keys(studio: Opened) -> list[KeyTold]:
    """All keys, the newest first, with those that were revoked."""
    return [KeyTold.model_validate(key) for key in keys.listed(studio)]


@router.post("", status_code=201)
def create_key(studio: Opened, asked: KeyAsked, response: Response) -> KeyMade:
    """Make a key. It is told in this answer and never again."""
    row, secret = keys.create(studio, asked.name, asked.scope)
    response.headers["Cache-Control"] = "no-store"
    return KeyMade(**KeyTold.model_validate(row).model_dump(), key=secret)


@router.delete("/{key_id}", status_code=204)
def revoke_key(studio: Opened, key_id: str) -> None:
    """Let a key open nothing from now on."""
    keys.revoke(studio, key_id)
