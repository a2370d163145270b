import threading
import time
from collections.abc import Callable

import pytest
from fastapi import Response
from fastapi.testclient import TestClient
from sqlalchemy import func, select, update

from likeness.api import idempotency
from likeness.api.app import PREFIX, create_app
from likeness.api.gate import Access
from likeness.errors import Conflict
from likeness.store.tables import Answered
from likeness.studio import keys
from likeness.studio.workspace import Studio

HERE = "http://127.0.0.1:8188"
WORK = f"{PREFIX}/work"


@pytest.fixture
def counted(studio: Studio) -> tuple[TestClient, list[dict[str, int]]]:
    """A client, and what a route that only counts has been asked."""
    return counting(studio, lambda asked: None)


def counting(
    studio: Studio, work: Callable[[dict[str, int]], None], access: Access | None = None
) -> tuple[TestClient, list[dict[str, int]]]:
    app, done = create_app(studio, access=access), list[dict[str, int]]()

    @app.post(WORK, status_code=201)
    def do(asked: dict[str, int], response: Response) -> dict[str, int]:
        work(asked)
        done.append(asked)
        if "secret" in asked:
            response.headers["Cache-Control"] = "no-store"
        return {"count": len(done)}

    return TestClient(app, base_url=HERE, raise_server_exceptions=False), done


def test_the_same_request_gets_the_same_answer_and_is_done_once(
    counted: tuple[TestClient, list[dict[str, int]]],
) -> None:
    client, done = counted
    first = client.post(WORK, json={"a": 1, "b": 2}, headers={"Idempotency-Key": "k"})
    again = client.post(
        WORK, content=b'{"b":2,  "a":1}', headers={"Idempotency-Key": "k", "Content-Type": "application/json"}
    )
    assert first.status_code == again.status_code == 201 and first.json() == again.json() == {"count": 1}
    assert "idempotency-replayed" not in first.headers and again.headers["idempotency-replayed"] == "true"
    assert len(done) == 1
    assert client.post(WORK, json={}).json() == {"count": 2}  # no key: done each time
    assert client.post(WORK, json={}, headers={"Idempotency-Key": "k2"}).json() == {"count": 3}


def test_a_key_is_for_one_request_alone(counted: tuple[TestClient, list[dict[str, int]]]) -> None:
    client, done = counted
    client.post(WORK, json={"a": 1}, headers={"Idempotency-Key": "k"})
    for other in (
        client.post(WORK, json={"a": 2}, headers={"Idempotency-Key": "k"}),
        client.post(f"{WORK}?x=1", json={"a": 1}, headers={"Idempotency-Key": "k"}),
        client.post(f"{PREFIX}/jobs/seen", json={"a": 1}, headers={"Idempotency-Key": "k"}),
    ):
        assert other.status_code == 422 and other.json()["errors"][0]["field"] == "Idempotency-Key"
    assert len(done) == 1
    assert client.post(WORK, json={}, headers={"Idempotency-Key": "x" * 201}).status_code == 422


def test_while_one_is_worked_on_another_is_told_so(studio: Studio) -> None:
    begun, go = threading.Event(), threading.Event()

    def work(asked: dict[str, int]) -> None:
        begun.set()
        assert go.wait(20)

    client, done = counting(studio, work)
    answers: list[int] = []
    thread = threading.Thread(
        target=lambda: answers.append(client.post(WORK, json={}, headers={"Idempotency-Key": "k"}).status_code)
    )
    thread.start()
    assert begun.wait(20)
    twin = client.post(WORK, json={}, headers={"Idempotency-Key": "k"})
    go.set()
    thread.join()
    assert twin.status_code == 409 and twin.headers["retry-after"] == "1"
    assert answers == [201] and len(done) == 1
    assert client.post(WORK, json={}, headers={"Idempotency-Key": "k"}).status_code == 201


def test_many_at_once_are_one(studio: Studio) -> None:
    client, done = counting(studio, lambda asked: time.sleep(0.05))
    answers: list[int] = []

    def ask() -> None:
        answers.append(client.post(WORK, json={}, headers={"Idempotency-Key": "k"}).status_code)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 1 and set(answers) <= {201, 409} and 201 in answers


def test_what_was_refused_or_failed_may_be_asked_again(studio: Studio) -> None:
    errors: list[Exception] = [Conflict("queue: is full. Fix: wait"), RuntimeError("a fault")]

    def work(asked: dict[str, int]) -> None:
        if errors:
            raise errors.pop(0)

    client, done = counting(studio, work)
    statuses = [client.post(WORK, json={}, headers={"Idempotency-Key": "k"}).status_code for _ in range(4)]
    assert statuses == [409, 500, 201, 201] and len(done) == 1


def test_keys_of_different_callers_are_apart(studio: Studio) -> None:
    client, done = counting(studio, lambda asked: None, Access(keys=True))
    for name in ("a", "b"):
        _, secret = keys.create(studio, name)
        client.post(WORK, json={}, headers={"Idempotency-Key": "k", "X-API-Key": secret})
    assert len(done) == 2


def test_a_request_that_a_killed_server_left_is_not_done_again(studio: Studio) -> None:
    client, done = counting(studio, lambda asked: None)
    client.post(WORK, json={}, headers={"Idempotency-Key": "k"})
    with studio.database.session() as session:
        session.execute(update(Answered).values(status=None))
    client, done = counting(studio, lambda asked: None)  # another server, later
    left = client.post(WORK, json={}, headers={"Idempotency-Key": "k"})
    assert left.status_code == 409 and "not known" in left.json()["detail"] and done == []


def test_answers_are_forgotten_after_a_day_and_secrets_are_never_kept(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, counted: tuple[TestClient, list[dict[str, int]]]
) -> None:
    client, done = counted
    client.post(WORK, json={"secret": 1}, headers={"Idempotency-Key": "s"})
    assert client.post(WORK, json={"secret": 1}, headers={"Idempotency-Key": "s"}).status_code == 409
    with studio.database.reading() as session:
        assert "count" not in session.scalars(select(Answered.body)).one()
    monkeypatch.setattr(idempotency, "KEPT_SECONDS", -1)
    client.post(WORK, json={}, headers={"Idempotency-Key": "new"})
    with studio.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Answered)) == 1
    assert len(done) == 2


def test_a_new_key_is_told_once_even_with_an_idempotency_key(client: TestClient) -> None:
    headers = {"Idempotency-Key": "k"}
    assert client.post(f"{PREFIX}/keys", json={"name": "a"}, headers=headers).status_code == 201
    again = client.post(f"{PREFIX}/keys", json={"name": "a"}, headers=headers)
    assert again.status_code == 409 and "likeness_" not in again.text
