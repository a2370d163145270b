import time

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from likeness.errors import InputError, NotFound
from likeness.store.tables import Model, Share, Voice
from likeness.studio import models, shares, voices
from likeness.studio.workspace import Studio
from tests.studio.voices_at_hand import put
from tests.tiny_lora import write_run


@pytest.fixture
def mika(studio: Studio) -> Model:
    write_run(studio.workspace, epochs=1)
    return models.publish(studio, "mika", 1)


def test_a_link_leads_to_its_model_and_only_its_hash_is_kept(studio: Studio, mika: Model) -> None:
    link = shares.share(studio, mika.id)
    found, row = shares.shared(studio, link.token)
    assert found.id == mika.id and row.id == link.share.id and link.path == f"/shared/{link.token}"
    assert len(link.token) >= 43 and link.token != shares.share(studio, mika.id).token
    studio.database.close()
    kept = b"".join(p.read_bytes() for p in studio.root.glob("studio.db*"))
    assert link.token.encode() not in kept and link.share.token_sha256.encode() in kept


def test_links_that_do_not_work_are_all_told_alike(studio: Studio, mika: Model) -> None:
    tokens = {kind: shares.share(studio, mika.id).token for kind in ("expired", "revoked", "binned")}
    rows = {kind: shares.shared(studio, token)[1] for kind, token in tokens.items()}
    with studio.database.session() as session:
        session.execute(update(Share).where(Share.id == rows["expired"].id).values(expires=time.time() - 1))
    shares.revoke(studio, rows["revoked"].id)
    models.delete_model(studio, mika.id)
    told: set[str] = set()
    for token in (*tokens.values(), "unknown", "", "\ud800", "x" * 10_000):
        with pytest.raises(NotFound) as caught:
            shares.shared(studio, token)
        told.add(str(caught.value))
    assert len(told) == 1


def test_links_are_listed_while_they_work(studio: Studio, mika: Model) -> None:
    a, b = shares.share(studio, mika.id, 1).share, shares.share(studio, mika.id, 30).share
    assert {row.id for row in shares.listed(studio, mika.id)} == {a.id, b.id}
    shares.revoke(studio, a.id)
    assert [row.id for row in shares.listed(studio)] == [b.id] and shares.listed(studio, "other") == []
    with pytest.raises(NotFound):
        shares.revoke(studio, a.id)


@pytest.mark.parametrize("days", [0, -1, 366, float("nan"), float("inf")])
def test_a_link_has_an_end(studio: Studio, mika: Model, days: float) -> None:
    with pytest.raises(InputError, match=r"^days: "):
        shares.share(studio, mika.id, days)


def test_links_go_with_their_model(studio: Studio, mika: Model) -> None:
    shares.share(studio, mika.id)
    models.delete_model(studio, mika.id)
    models.remove(studio, mika.id)
    assert shares.listed(studio) == []


def test_an_old_link_is_cleared_away(studio: Studio, mika: Model) -> None:
    old = shares.share(studio, mika.id).share
    with studio.database.session() as session:
        session.execute(update(Share).where(Share.id == old.id).values(expires=1.0))
    shares.share(studio, mika.id)
    with studio.database.reading() as session:
        assert session.get(Share, old.id) is None


# --- of voices


def test_a_link_to_a_voice_leads_to_it_and_to_nothing_else(studio: Studio, mika: Model) -> None:
    ada = put(studio)
    link, other = shares.share_voice(studio, ada.id), shares.share(studio, mika.id)
    assert shares.shared_voice(studio, link.token)[0].id == ada.id
    assert [type(shares.opened(studio, one.token)[0]) for one in (link, other)] == [Voice, Model]
    for wrong, token in ((shares.shared, link.token), (shares.shared_voice, other.token)):
        with pytest.raises(NotFound, match="nothing is here"):
            wrong(studio, token)
    assert [row.id for row in shares.listed(studio, voice_id=ada.id)] == [link.share.id]
    assert [row.id for row in shares.listed(studio, mika.id)] == [other.share.id]
    voices.delete(studio, ada.id)
    with pytest.raises(NotFound, match="nothing is here"):
        shares.opened(studio, link.token)
    voices.remove(studio, ada.id)
    assert [row.id for row in shares.listed(studio)] == [other.share.id]


def test_links_of_one_voice_have_a_most(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "MOST_LINKS", 2)
    ada, eve = put(studio, "ada"), put(studio, "eve")
    for voice in (ada, ada, eve):
        shares.share_voice(studio, voice.id)
    with pytest.raises(InputError, match="voice: ada has 2 links"):
        shares.share_voice(studio, ada.id)
    with pytest.raises(InputError, match=r"^days: "):
        shares.share_voice(studio, eve.id, 0)


def test_a_link_is_to_one_thing(studio: Studio, mika: Model) -> None:
    for row in (Share(token_sha256="a", expires=1.0), Share(token_sha256="b", expires=1.0, model_id=mika.id,
                                                            voice_id=put(studio).id)):  # fmt: skip
        with pytest.raises(IntegrityError), studio.database.session() as session:
            session.add(row)
