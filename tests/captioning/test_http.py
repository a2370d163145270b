"""Requests to servers that are slow, busy, broken, gone or sly."""

import threading
import time
from typing import Any

import pytest

from likeness.captioning.http import MAX_BYTES, Client, Malformed, ServerRefusal
from likeness.captioning.protocol import CaptionFailed
from tests.captioning.server import Reply, free_address, serving

GOOD = Reply({"text": "good"})


def client(url: str, retries: int = 2, timeout: float = 5, first_wait: float = 0.001) -> Client:
    return Client(url, timeout=timeout, max_retries=retries, first_wait=first_wait)


def text_of(answer: dict[str, Any]) -> str:
    if "text" not in answer:
        raise Malformed("no text")
    return answer["text"]


def ask(c: Client) -> str:
    return c.post("/ask", {"a": 1}, text_of)


@pytest.mark.parametrize(
    "bad",
    [
        Reply("no json"),
        Reply('["a list"]'),
        Reply({"other": 1}),
        Reply("x" * (MAX_BYTES + 1)),
        Reply({"text": "half"}, breaks=True),
        Reply({"error": "loading"}, status=503),
        Reply("<html>", status=502),
        Reply({"error": "slow down"}, status=429, headers={"Retry-After": "0"}),
        Reply("", status=408, headers={"Retry-After": "no date"}),
    ],
    ids=lambda r: f"{r.status} {str(r.body)[:12]}",
)
def test_what_may_pass_is_tried_again(bad: Reply):
    with serving(bad, bad, GOOD) as server:
        assert ask(client(server.url)) == "good"
        assert server.paths() == ["/ask"] * 3


def test_it_gives_up_and_says_why():
    with serving(Reply({"error": {"message": "model is loading", "type": "busy"}}, status=503)) as server:
        with pytest.raises(CaptionFailed, match=r"answered 503: model is loading \(3 attempts\)") as e:
            ask(client(server.url))
        assert e.value.reason == "server" and len(server.received) == 3


@pytest.mark.parametrize("slow", [Reply(hangs=True), Reply('{"text": "good"}', drips=True)], ids=["hangs", "drips"])
def test_an_answer_has_a_time_limit_as_a_whole(slow: Reply):
    with serving(slow) as server:
        began = time.monotonic()
        with pytest.raises(CaptionFailed, match=r"no answer within 0.15 s \(2 attempts\)") as e:
            ask(client(server.url, retries=1, timeout=0.15))
        assert e.value.reason == "timeout" and time.monotonic() - began < 2


def test_waits_grow_and_the_servers_own_come_first(monkeypatch: pytest.MonkeyPatch):
    waits: list[float] = []
    busy = Reply(status=503)
    with serving(busy, busy, Reply(status=429, headers={"Retry-After": "7"}), GOOD) as server:
        c = client(server.url, retries=3, first_wait=1)
        monkeypatch.setattr(c._stopped, "wait", lambda seconds: waits.append(seconds))  # type: ignore[attr-defined]
        assert ask(c) == "good"
    assert 0.75 <= waits[0] <= 1.25 and 1.5 <= waits[1] <= 2.5 and waits[2] == 7


def test_a_server_that_is_closed_for_long_is_not_waited_for():
    with serving(Reply(status=429, headers={"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"})) as server:
        with pytest.raises(CaptionFailed, match="answered 429"):
            ask(client(server.url))
        assert len(server.received) == 1


def test_a_refusal_is_final():
    with serving(Reply({"error": {"message": "bad picture"}}, status=400)) as server:
        with pytest.raises(ServerRefusal, match="answered 400: bad picture"):
            ask(client(server.url))
        assert len(server.received) == 1


def test_redirects_are_not_followed():
    with serving(GOOD) as other, serving(Reply(status=307, headers={"Location": f"{other.url}/ask"})) as server:
        with pytest.raises(ServerRefusal, match="which is not followed"):
            ask(client(server.url))
        assert other.received == []


def test_nobody_there():
    with pytest.raises(CaptionFailed, match="cannot be reached") as e:
        ask(client(free_address(), retries=1))
    assert e.value.reason == "unreachable"


def test_a_proxy_is_not_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("http_proxy", free_address())
    with serving(GOOD) as server:
        assert ask(client(server.url)) == "good"


@pytest.mark.parametrize("state", [Reply(hangs=True), Reply(status=503)], ids=["waiting for an answer", "between"])
def test_stopping_does_not_wait(state: Reply):
    with serving(state) as server:
        c = client(server.url, retries=1, timeout=30, first_wait=30)
        threading.Timer(0.1, c.stop).start()
        began = time.monotonic()
        with pytest.raises(CaptionFailed) as e:
            ask(c)
        assert e.value.reason == "stopped" and time.monotonic() - began < 5
        with pytest.raises(CaptionFailed):
            ask(c)  # for good


def test_lines_come_one_by_one():
    with serving(Reply('{"n": 1}\n\n{"n": 2}\n')) as server:
        assert [row["n"] for row in client(server.url).lines("/pull", {})] == [1, 2]
    with serving(Reply('{"n": 1}\nbroken\n')) as server, pytest.raises(CaptionFailed, match="not JSON"):
        list(client(server.url).lines("/pull", {}))
