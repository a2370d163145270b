"""Any server with OpenAI's chat protocol: OpenAI itself, vLLM, llama.cpp, LM Studio, SGLang and many more."""

import base64
import os
from collections.abc import Sequence
from typing import Any

from likeness.captioning.http import Client, Malformed, ServerRefusal
from likeness.captioning.pictures import as_jpeg
from likeness.captioning.prompts import answer_tokens
from likeness.captioning.protocol import Abilities, Answer, Ask, CaptionFailed
from likeness.config.caption import OPENAI, CaptionConfig, ServerConfig
from likeness.errors import InputError, RunFailed

# Servers know one of these names for the longest answer, or none.
_LIMITS = ("max_tokens", "max_completion_tokens", None)
_NOT_LET_IN = (401, 402, 403, 404, 429)  # 429 comes here only where no money is left
_FILTERED = ("content_filter", "content_policy", "moderation", "safety", "responsibleai")


class OpenAI:
    """One model of a server."""

    def __init__(self, settings: CaptionConfig, server: ServerConfig, first_wait: float = 1.0):
        """Raises InputError when no model is named, or the key is not in the environment."""
        if not settings.model:
            raise InputError("--model: the server needs the name of a model. Fix: --model NAME")
        self.model = settings.model
        self.abilities = Abilities(takes_prompts=True, sees_pairs=True, at_once=1, calls=settings.parallel or 4)
        self._settings, self._server = settings, server
        endpoint = (server.endpoint or OPENAI).rstrip("/")
        self.client = Client(
            endpoint,
            timeout=server.timeout,
            max_retries=server.max_retries,
            headers=_authorization(server, endpoint),
            first_wait=first_wait,
        )
        self._limit = 1 if endpoint == OPENAI else 0  # index into _LIMITS

    def stop(self) -> None:
        self.client.stop()

    def answer(self, asks: Sequence[Ask]) -> list[Answer | CaptionFailed]:
        return [self._answered(ask) for ask in asks]

    def _answered(self, ask: Ask) -> Answer | CaptionFailed:
        while True:
            limit = self._limit
            try:
                return self.client.post("/chat/completions", self._payload(ask, _LIMITS[limit]), _read)
            except CaptionFailed as e:
                return e
            except ServerRefusal as e:
                name = _LIMITS[limit]
                if e.status in (400, 422) and name and name in e.message:
                    self._limit = max(self._limit, limit + 1)
                    continue
                return self._refused(e)

    def _refused(self, error: ServerRefusal) -> CaptionFailed:
        """Raises RunFailed where no other picture would fare better."""
        if error.status in _NOT_LET_IN:
            raise RunFailed(
                f"{self.client.endpoint}: {error}. Fix: check --endpoint, --model '{self.model}', and the key in the "
                "variable that --api-key-env names"
            ) from error
        if any(word in f"{error.message} {error.code}".lower() for word in _FILTERED):
            return CaptionFailed("refused", f"the server's filter refused: {error.message}")
        return CaptionFailed("server", str(error))

    def _payload(self, ask: Ask, limit: str | None) -> dict[str, Any]:
        content: list[dict[str, Any]] = [{"type": "text", "text": ask.prompt}]
        for picture in ask.pictures:
            data = base64.b64encode(as_jpeg(picture, self._settings.picture_side)).decode()
            content.append({"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{data}"}})
        payload: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "system", "content": ask.system}, {"role": "user", "content": content}],
        }
        if limit:
            payload[limit] = answer_tokens(self._settings)
        if self._server.temperature is not None:
            payload["temperature"] = self._server.temperature
        return payload


def _authorization(server: ServerConfig, endpoint: str) -> dict[str, str]:
    """OpenAI's key goes to OpenAI alone, unless the settings name the variable for another server."""
    name = server.api_key_env or ("OPENAI_API_KEY" if endpoint == OPENAI else "")
    if not name:
        return {}
    key = os.environ.get(name, "").strip()
    if not key:
        raise InputError(f"--api-key-env: the environment has no {name}. Fix: export {name}=… before the command")
    if not key.isascii() or not key.isprintable():
        raise InputError(f"--api-key-env: what {name} holds is no key. Fix: copy the key again, without quotes")
    return {"Authorization": f"Bearer {key}"}


def _read(answer: dict[str, Any]) -> Answer:
    """Raises CaptionFailed('refused') where the answer says so by itself, Malformed where it holds no text."""
    choices: Any = answer.get("choices")
    choice: Any = choices[0] if isinstance(choices, list) and choices else None
    message: Any = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        raise Malformed("the answer has no choices with a message")
    if isinstance(message.get("refusal"), str) and message["refusal"]:
        raise CaptionFailed("refused", f"the model refused: {message['refusal'][:200]}")
    if choice.get("finish_reason") == "content_filter":
        raise CaptionFailed("refused", "the server's filter refused")
    text: Any = message.get("content")
    if isinstance(text, list):  # in parts
        text = "".join(str(p.get("text", "")) for p in text if isinstance(p, dict))
    if text is not None and not isinstance(text, str):
        raise Malformed("the content of the message is not text")
    if not text or not text.strip():
        raise Malformed("the model answered without words", "empty")
    return Answer(text, cut_off=choice.get("finish_reason") == "length")
