"""Ollama and OpenAI-compatible servers, spoken to over HTTP."""

import base64
import io
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from PIL import Image

from likeness.captioning.engine import Engine, Look, Written
from likeness.captioning.ollama import Ollama
from likeness.captioning.openai import OpenAI
from likeness.captioning.protocol import CaptionFailed, tell_nobody
from likeness.config.caption import CaptionConfig, ServerConfig, tile_settings
from likeness.config.crops import DetailCropsConfig
from likeness.errors import InputError, RunFailed
from tests.captioning.server import SEES, Received, Reply, Server, chatted, free_address, said, serving

RED, BLUE = (Image.new("RGB", size, colour) for size, colour in (((300, 200), "red"), ((200, 300), "blue")))


def ollama(server: Server, **settings: Any) -> Engine:
    caption = CaptionConfig(engine="ollama", model="llava", **settings)
    config = ServerConfig(endpoint=server.url, timeout=5, max_retries=1, keep_alive="60")
    return Engine(caption, Ollama(caption, config, tell_nobody, first_wait=0.001))


def openai(server: Server, key_env: str = "", **settings: Any) -> Engine:
    caption = CaptionConfig(engine="openai", model="gpt", **settings)
    config = ServerConfig(endpoint=f"{server.url}/v1", timeout=5, max_retries=1, api_key_env=key_env)
    return Engine(caption, OpenAI(caption, config, first_wait=0.001))


def shown(data: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(data)))


def one(engine: Engine) -> Written | CaptionFailed:
    return engine.caption_all([Look((RED,))])[0]


def text_of(engine: Engine) -> str:
    result = one(engine)
    assert isinstance(result, Written), result
    return result.text


# --- Ollama


def test_ollama_is_shown_the_picture_and_asked_for_the_kind():
    with serving(SEES, Reply(chatted("A girl waves."))) as server:
        engine = ollama(server, trigger="maya_char", leave_out=["red hair"], picture_side=100)
        assert engine.caption([RED]) == "maya_char, A girl waves."
        show, chat = server.received
    assert (show.path, show.body) == ("/api/show", {"model": "llava"})
    assert chat.path == "/api/chat" and chat.body["stream"] is False and chat.body["keep_alive"] == 60
    system, user = chat.body["messages"]
    assert "at most 80 words" in system["content"]
    assert "Call the character maya_char" in user["content"] and "Do not use these words: red hair" in user["content"]
    assert shown(user["images"][0]).size == (100, 67)


def test_ollama_sees_pairs_in_their_order():
    with serving(SEES, Reply(chatted("Make it night."))) as server:
        engine = ollama(server, kind="edit")
        assert engine.caption([RED, BLUE]) == "Make it night."
        before, after = (shown(p) for p in server.received[1].body["messages"][1]["images"])
    assert before.size == (300, 200) and after.size == (200, 300)


def test_a_missing_model_is_pulled_on_request():
    missing = Reply({"error": "model 'llava' not found"}, status=404)
    lines = '{"status": "pulling manifest"}\n{"digest": "a", "total": 10, "completed": 4}\n{"status": "success"}\n'
    with serving(missing, Reply(lines), SEES) as server:
        caption, config = CaptionConfig(engine="ollama", model="llava"), ServerConfig(endpoint=server.url)
        told: list[tuple[str, int, int]] = []
        Ollama(caption, config.model_copy(update={"auto_pull": True}), lambda *stage: told.append(stage))
        assert server.paths() == ["/api/show", "/api/pull", "/api/show"] and told == [("downloading", 4, 10)]
    with serving(missing) as server, pytest.raises(InputError, match=r"has no model 'llava'. Fix: `ollama pull llava`"):
        ollama(server)
    with serving(missing, Reply('{"error": "pull model manifest: file does not exist"}')) as server:
        config = ServerConfig(endpoint=server.url, auto_pull=True)
        with pytest.raises(InputError, match="cannot fetch 'llava': pull model manifest"):
            Ollama(caption, config, tell_nobody)


def test_ollama_refusals_to_begin():
    with serving(Reply({"capabilities": ["completion"]})) as server, pytest.raises(InputError, match="cannot see pict"):
        ollama(server)
    with serving(Reply("<html>nginx", status=405)) as server, pytest.raises(InputError, match="is no Ollama server"):
        ollama(server)
    caption = CaptionConfig(engine="ollama", model="llava")
    with pytest.raises(InputError, match="start Ollama there"):
        Ollama(caption, ServerConfig(endpoint=free_address()), tell_nobody)
    with pytest.raises(InputError, match="needs the name of a model"):
        Ollama(CaptionConfig(engine="ollama"), ServerConfig(), tell_nobody)


def test_a_thinking_model_is_told_not_to():
    thinks = Reply({"capabilities": ["vision", "thinking"]})
    with serving(thinks, Reply(chatted("<think>Hm, a girl?</think>\n\nA girl."))) as server:
        assert text_of(ollama(server)) == "A girl." and server.received[1].body["think"] is False


# --- OpenAI


def test_openai_is_shown_the_picture_and_gets_the_named_key(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MY_KEY", "sk-secret")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    with serving(Reply(said("A girl waves."))) as server:
        assert text_of(openai(server, "MY_KEY")) == "A girl waves."
        assert text_of(openai(server)) == "A girl waves."
        first, second = server.received
    assert first.path == "/v1/chat/completions" and first.headers["authorization"] == "Bearer sk-secret"
    assert "authorization" not in second.headers  # OpenAI's key is not for others
    text, picture = first.body["messages"][1]["content"]
    assert text["text"].startswith("Describe this picture of a character")
    head, data = picture["image_url"]["url"].split(",")
    assert head == "data:image/jpeg;base64" and shown(data).getpixel((5, 5)) == (254, 0, 0)
    assert first.body["max_tokens"] > 80 and first.body["model"] == "gpt"


def test_a_key_that_is_not_there_is_told_without_a_request():
    with serving(Reply(said("x"))) as server, pytest.raises(InputError, match="environment has no NO_SUCH_KEY"):
        openai(server, "NO_SUCH_KEY")
    with pytest.raises(ValueError, match="not the key itself") as e:
        ServerConfig(api_key_env="sk-12345")
    assert "sk-12345" not in e.value.errors()[0]["msg"]


def test_each_server_knows_its_own_name_for_the_limit():
    def pick(received: Received) -> Reply:
        if "max_tokens" in received.body:
            message = "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."
            return Reply({"error": {"message": message, "code": "unsupported_parameter"}}, status=400)
        if "max_completion_tokens" in received.body:
            return Reply({"error": {"message": "max_completion_tokens: Extra inputs are not permitted"}}, status=422)
        return Reply(said("A hat."))

    with serving(pick) as server:
        engine = openai(server)
        assert [text_of(engine), text_of(engine)] == ["A hat.", "A hat."]
        assert len(server.received) == 4  # what is not understood is learned once


@pytest.mark.parametrize(
    "reply",
    [
        Reply({"error": {"message": "Incorrect API key"}}, status=401),
        Reply({"error": {"message": "no such model"}}, status=404),
        Reply({"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}, status=429),
    ],
    ids=lambda r: str(r.status),
)
def test_what_no_other_picture_would_change_ends_the_job(reply: Reply):
    with serving(reply) as server, pytest.raises(RunFailed, match=r"Fix: check --endpoint, --model 'gpt'"):
        one(openai(server))


# --- what both answer


def broken(kind: str, answer: Callable[..., Any]) -> list[tuple[Reply, str]]:
    refusal = "I'm sorry, but I can't help with identifying people."
    return [(Reply(answer(refusal)), "refused"), (Reply(answer("  ")), "empty"), (Reply({"unlike": kind}), "malformed"),
            (Reply(answer("x"), status=500), "server"), (Reply(answer("***")), "empty")]  # fmt: skip


ANSWERS = [(ollama, r, why) for r, why in broken("ollama", chatted)] + [
    *((openai, r, why) for r, why in broken("openai", said)),
    (openai, Reply(said("", refusal="I won't.")), "refused"),
    (openai, Reply(said("", finish="content_filter")), "refused"),
    (openai, Reply({"error": {"message": "blocked", "code": "content_filter"}}, status=400), "refused"),
    (openai, Reply({"error": {"message": "image too small"}}, status=400), "server"),
    (openai, Reply({"choices": []}), "malformed"),
    (openai, Reply(said([1, 2])), "empty"),  # type: ignore[arg-type]
    (openai, Reply(said({"no": "text"})), "malformed"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("make", "reply", "reason"), ANSWERS)
def test_answers_that_are_no_captions(make: Callable[[Server], Engine], reply: Reply, reason: str):
    with serving(*([SEES] if make is ollama else []), reply) as server:
        result = one(make(server))
    assert isinstance(result, CaptionFailed) and result.reason == reason and str(result)


@pytest.mark.parametrize(("make", "answer", "limit"), [(ollama, chatted, "length"), (openai, said, "length")])
def test_an_answer_that_was_cut_off_ends_with_a_sentence(
    make: Callable[[Server], Engine], answer: Callable[..., Any], limit: str
):
    first = [SEES] if make is ollama else []
    with serving(*first, Reply(answer("A girl waves. Behind her a hou", limit))) as server:
        result = one(make(server))
    assert (
        isinstance(result, Written) and result.text == "A girl waves." and result.notes == ("cut, as it was too long",)
    )


def test_content_may_come_in_parts():
    with serving(Reply(said([{"type": "text", "text": "A "}, {"type": "text", "text": "hat."}]))) as server:  # type: ignore[arg-type]
        assert text_of(openai(server)) == "A hat."


# --- many pictures


def test_pictures_are_asked_about_at_once_and_failures_stay_single():
    both_asked = threading.Barrier(2)  # the first two answers wait for each other

    def answer(received: Received) -> Reply:
        if len(server.received) <= 3:  # the question what the model can do is the first
            with suppress(threading.BrokenBarrierError):
                both_asked.wait(timeout=10)
        colour = shown(received.body["messages"][1]["images"][0]).getpixel((5, 5))
        return Reply(chatted("Something red." if colour == (254, 0, 0) else "I cannot describe this image."))

    def load(number: int) -> Look:
        if number == 3:
            raise InputError("3.png: is damaged")
        return Look((RED if number % 2 else BLUE,))

    with serving(SEES, answer) as server:
        engine = ollama(server, parallel=3)
        results = dict(engine.stream(range(8), load))
        assert server.most_at_once > 1
    assert {k: r.text for k, r in results.items() if isinstance(r, Written)} == dict.fromkeys(
        (1, 5, 7), "Something red."
    )
    failed = {k: r.reason for k, r in results.items() if isinstance(r, CaptionFailed)}
    assert failed == {0: "refused", 2: "refused", 4: "refused", 6: "refused", 3: "picture"}


def test_a_server_that_went_away_ends_the_job():
    with serving(SEES) as server:
        engine = ollama(server, parallel=1)
    done: list[int] = []
    with pytest.raises(RunFailed, match="cannot be reached"):
        for number, _ in engine.stream(range(100), lambda _: Look((RED,))):
            done.append(number)
    assert len(done) == 3


def test_stopping_gives_up_what_is_under_way():
    with serving(SEES, Reply(chatted("A hat.")), Reply(hangs=True)) as server:
        engine = ollama(server, parallel=1)
        done: list[int] = []
        for number, _ in engine.stream(range(5), lambda _: Look((RED,)), stopped=lambda: bool(done)):
            done.append(number)
        assert done == [0]


# --- detail crops


def test_tiles_are_captioned_as_their_settings_say():
    def crops(**settings: Any) -> tuple[CaptionConfig, ServerConfig]:
        return tile_settings(DetailCropsConfig(caption_model="llava", caption_timeout=5, **settings))

    with serving(SEES, Reply(chatted("A hat."))) as server:
        prompts = {"caption_system_prompt": "Be short.", "caption_user_prompt": "Of {context}, a part."}
        caption, config = crops(caption_endpoint=server.url, parallel_workers=3, **prompts)
        engine = Engine(caption, Ollama(caption, config, tell_nobody))
        assert engine.caption_tile(RED, "a girl with {braces}") == "A hat."
        told = [m["content"] for m in server.received[1].body["messages"]]
    assert told == ["Be short.", "Of a girl with {braces}, a part."] and engine.captioner.abilities.calls == 3
    assert crops(caption_endpoint="http://127.0.0.1:8000/v1/")[0].engine == "openai"
    assert crops()[0].engine == "vlm" and tile_settings(DetailCropsConfig())[0].engine == "shipped"
