"""Ollama: models on this machine or another, over its own protocol.

Field names: https://github.com/ollama/ollama/blob/main/docs/api.md
"""

import base64
from collections.abc import Sequence
from typing import Any

from likeness.captioning.http import Client, Malformed, ServerRefusal
from likeness.captioning.pictures import as_jpeg
from likeness.captioning.prompts import answer_tokens
from likeness.captioning.protocol import Abilities, Answer, Ask, CaptionFailed, Tell
from likeness.config.caption import OLLAMA, CaptionConfig, ServerConfig
from likeness.errors import InputError, RunFailed


class Ollama:
    """One model of an Ollama server. The constructor asks for it, and has it fetched where the settings say so."""

    def __init__(self, settings: CaptionConfig, server: ServerConfig, tell: Tell, first_wait: float = 1.0):
        """Raises InputError when the server or the model is not there, or the model cannot see."""
        if not settings.model:
            raise InputError("--model: Ollama needs the name of a model. Fix: --model qwen2.5vl:7b")
        self.model = settings.model
        self.abilities = Abilities(takes_prompts=True, sees_pairs=True, at_once=1, calls=settings.parallel or 2)
        self._settings, self._server = settings, server
        self.client = Client(
            server.endpoint or OLLAMA, timeout=server.timeout, max_retries=server.max_retries, first_wait=first_wait
        )
        self._thinks = "thinking" in self._ready(tell)

    def stop(self) -> None:
        self.client.stop()

    def answer(self, asks: Sequence[Ask]) -> list[Answer | CaptionFailed]:
        return [self._answered(ask) for ask in asks]

    def _answered(self, ask: Ask) -> Answer | CaptionFailed:
        try:
            return self.client.post("/api/chat", self._payload(ask), _read)
        except CaptionFailed as e:
            return e
        except ServerRefusal as e:
            if e.status == 404:
                raise RunFailed(f"Ollama has no model '{self.model}' any more ({e.message})") from e
            if e.status in (401, 403):
                raise RunFailed(f"{self.client.endpoint} does not let us in ({e})") from e
            return CaptionFailed("server", str(e))

    def _payload(self, ask: Ask) -> dict[str, Any]:
        pictures = [base64.b64encode(as_jpeg(p, self._settings.picture_side)).decode() for p in ask.pictures]
        options: dict[str, Any] = {"num_predict": answer_tokens(self._settings)}
        if self._server.temperature is not None:
            options["temperature"] = self._server.temperature
        return {
            "model": self.model,
            "messages": [
                {"role": "system", "content": ask.system},
                {"role": "user", "content": ask.prompt, "images": pictures},
            ],
            "stream": False,
            "options": options,
            "keep_alive": _duration(self._server.keep_alive),
            **({"think": False} if self._thinks else {}),
        }

    def _ready(self, tell: Tell) -> tuple[str, ...]:
        """What the model can do, once it is there."""
        try:
            try:
                found = self._capabilities()
            except ServerRefusal as e:
                if e.status != 404:
                    raise
                if not self._server.auto_pull:
                    raise InputError(
                        f"--model: Ollama at {self.client.endpoint} has no model '{self.model}'. Fix: `ollama pull "
                        f"{self.model}`, or add --auto-pull"
                    ) from e
                self._pull(tell)
                found = self._capabilities()
        except CaptionFailed as e:
            raise InputError(
                f"--endpoint: {e}. Fix: start Ollama there (`ollama serve`), or give its address with --endpoint"
            ) from e
        except ServerRefusal as e:
            raise InputError(f"--endpoint: {self.client.endpoint} is no Ollama server, or too old: {e}") from e
        if found and "vision" not in found:
            raise InputError(f"--model: '{self.model}' cannot see pictures. Fix: a vision model, such as qwen2.5vl:7b")
        return found

    def _capabilities(self) -> tuple[str, ...]:
        """Such as 'vision' and 'thinking'; none where the server is too old to tell."""

        def read(answer: dict[str, Any]) -> tuple[str, ...]:
            listed: Any = answer.get("capabilities")
            return tuple(str(c) for c in listed) if isinstance(listed, list) else ()

        return self.client.post("/api/show", {"model": self.model}, read, max_retries=0)

    def _pull(self, tell: Tell) -> None:
        """Have the server fetch the model; its layers arrive one after the other."""
        layers: dict[str, tuple[int, int]] = {}
        try:
            for line in self.client.lines("/api/pull", {"model": self.model, "stream": True}):
                if "error" in line:
                    raise InputError(
                        f"--model: Ollama cannot fetch '{self.model}': {line['error']}. Fix: check its name"
                    )
                total, done = line.get("total"), line.get("completed", 0)
                if isinstance(total, int) and isinstance(done, int):
                    layers[str(line.get("digest"))] = (done, total)
                    tell("downloading", sum(d for d, _ in layers.values()), sum(t for _, t in layers.values()))
        except ServerRefusal as e:
            raise InputError(self._no_such(e.message)) from e

    def _no_such(self, why: str) -> str:
        return f"--model: Ollama cannot fetch '{self.model}': {why}. Fix: check its name"


def _duration(text: str) -> str | int:
    """Ollama takes '5m', and bare seconds only as a number."""
    return int(text) if text.lstrip("-").isdecimal() else text


def _read(answer: dict[str, Any]) -> Answer:
    message: Any = answer.get("message")
    text: Any = message.get("content") if isinstance(message, dict) else None
    if not isinstance(text, str):
        raise Malformed("the answer has no message with content")
    if not text.strip():
        raise Malformed("the model answered without words", "empty")
    return Answer(text, cut_off=answer.get("done_reason") == "length")
