import time

import pytest
from sqlalchemy import select, update

from likeness.errors import Conflict, InputError, NotFound
from likeness.store.tables import ApiKey
from likeness.studio import keys
from likeness.studio.workspace import Studio


def test_a_key_is_known_until_it_is_revoked_and_only_its_hash_is_kept(studio: Studio) -> None:
    row, secret = keys.create(studio, " maya's pipeline ", "read")
    found = keys.check(studio, secret)
    assert found is not None and found.id == row.id and found.name == "maya's pipeline" and found.scopes == ["read"]
    assert secret.encode() not in studio.database.path.read_bytes()
    assert keys.check(studio, secret + "x") is None and keys.check(studio, "") is None
    keys.revoke(studio, row.id)
    assert keys.check(studio, secret) is None and [key.id for key in keys.listed(studio)] == [row.id]


def test_each_scope_holds_those_before_it(studio: Studio) -> None:
    assert keys.create(studio, "a", "admin")[0].scopes == ["read", "write", "admin"]
    assert keys.any_work(studio, ["admin"])
    keys.revoke(studio, "a")
    assert not keys.any_work(studio)


def test_bad_names_and_scopes_are_refused(studio: Studio) -> None:
    for name in ("", "  ", "x" * 81, "a\nb"):
        with pytest.raises(InputError, match="name"):
            keys.create(studio, name)
    with pytest.raises(InputError, match="scope"):
        keys.create(studio, "a", "root")  # type: ignore[arg-type]
    keys.create(studio, "a")
    with pytest.raises(Conflict):
        keys.create(studio, "a")
    keys.revoke(studio, "a")
    with pytest.raises(NotFound):
        keys.revoke(studio, "a")
    keys.create(studio, "a")  # the name is free again


def test_the_last_use_is_not_written_on_every_call(studio: Studio) -> None:
    row, secret = keys.create(studio, "a")

    def used() -> float | None:
        with studio.database.reading() as session:
            return session.scalar(select(ApiKey.used).where(ApiKey.id == row.id))

    assert used() is None
    keys.check(studio, secret)
    first = used()
    keys.check(studio, secret)
    assert first is not None and used() == first
    with studio.database.session() as session:
        session.execute(update(ApiKey).values(used=time.time() - 100))
    keys.check(studio, secret)
    assert (used() or 0) >= first
