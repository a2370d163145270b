"""Links by which a model or a voice may be looked at without a key."""

from fastapi import APIRouter, Request, Response
from pydantic import Field

from likeness.api.shapes import Asked, Opened, Told
from likeness.studio import models, shares, voices
from likeness.studio.shares import Link

router = APIRouter(tags=["shares"])


class ShareAsked(Asked):
    days: float = Field(default=shares.USUAL_DAYS, description=f"Until it expires; at most {shares.MOST_DAYS:g}.")


class ShareTold(Told):
    id: str
    model_id: str | None = Field(description="None where it leads to a voice.")
    voice_id: str | None
    created: float
    expires: float


class LinkTold(ShareTold):
    token: str = Field(description="Told this once.")
    path: str
    url: str


class SharesTold(Told):
    shares: list[ShareTold]


@router.post("/models/{model_id}/shares", status_code=201)
def share_model(request: Request, response: Response, studio: Opened, model_id: str, asked: ShareAsked) -> LinkTold:
    """Make a link: whoever has it sees and fetches the model, until it expires or is revoked."""
    return _told(request, response, shares.share(studio, model_id, asked.days))


@router.post("/voices/{voice_id}/shares", status_code=201)
def share_voice(request: Request, response: Response, studio: Opened, voice_id: str, asked: ShareAsked) -> LinkTold:
    """Make a link: whoever has it hears and fetches the voice, until it expires or is revoked."""
    return _told(request, response, shares.share_voice(studio, voice_id, asked.days))


def _told(request: Request, response: Response, link: Link) -> LinkTold:
    row = link.share
    response.headers["Cache-Control"] = "no-store"  # nor is the answer kept for an idempotency key
    return LinkTold(
        id=row.id, model_id=row.model_id, voice_id=row.voice_id, created=row.created, expires=row.expires,
        token=link.token, path=link.path, url=f"{str(request.base_url).rstrip('/')}{link.path}",
    )  # fmt: skip


@router.get("/models/{model_id}/shares")
def list_model_shares(studio: Opened, model_id: str) -> SharesTold:
    """Links to a model that work still."""
    models.get(studio, model_id)
    return SharesTold(shares=[ShareTold.model_validate(row) for row in shares.listed(studio, model_id)])


@router.get("/voices/{voice_id}/shares")
def list_voice_shares(studio: Opened, voice_id: str) -> SharesTold:
    """Links to a voice that work still."""
    found = voices.get(studio, voice_id)
    return SharesTold(shares=[ShareTold.model_validate(row) for row in shares.listed(studio, voice_id=found.id)])


@router.get("/shares")
def list_shares(studio: Opened) -> SharesTold:
    """All links that work still."""
    return SharesTold(shares=[ShareTold.model_validate(row) for row in shares.listed(studio)])


@router.delete("/shares/{share_id}", status_code=204)
def revoke_share(studio: Opened, share_id: str) -> None:
    """Let a link work no longer."""
    shares.revoke(studio, share_id)
