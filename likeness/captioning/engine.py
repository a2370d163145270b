"""An engine as settings describe it: pictures in, captions out, in the words that were asked for."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from PIL import Image

from likeness.captioning.answers import clean
from likeness.captioning.prompts import system_prompt, user_prompt
from likeness.captioning.protocol import Answer, Ask, Captioner, CaptionFailed, Tell, tell_nobody
from likeness.captioning.trimming import names, own_nouns, trim_prose, trim_tags
from likeness.config.caption import CaptionConfig, ServerConfig, TaggerConfig
from likeness.dataset.captions import apply_trigger, has_trigger
from likeness.dataset.checks.lexicon import STYLE_WORDS
from likeness.errors import InputError, RunFailed

Key = TypeVar("Key")
MOST_UNREACHABLE = 3  # pictures in a row after which the server is taken to be gone


@dataclass(frozen=True)
class Written:
    """A caption as it is to be kept."""

    text: str
    prompt: str  # what was asked; empty for engines that take no prompts
    notes: tuple[str, ...] = ()  # what a person may want to look at


@dataclass(frozen=True)
class Look:
    """What is to be captioned: one picture, or those before an edit and then the one after it."""

    pictures: tuple[Image.Image, ...]
    context: str = ""  # what is known of it


class Engine:
    """A captioner with what it is asked and what becomes of its answers.

    Its methods may be called from several threads where `captioner.abilities.calls` allows it.
    """

    def __init__(self, settings: CaptionConfig, captioner: Captioner):
        """Raises InputError where the captioner cannot do what the settings ask."""
        self.settings, self.captioner = settings, captioner
        can = captioner.abilities
        if settings.kind == "edit" and not can.sees_pairs:
            raise InputError(
                f"--engine: {captioner.model} looks at one picture and cannot write instructions for pairs. Fix: "
                "--engine shipped, a chat model with --engine vlm, or a server"
            )
        self.nouns = own_nouns(settings.kind) if settings.traits == "leave-out" and not can.takes_prompts else ()
        unused = [
            f"--{name.replace('_', '-')}" for name in ("system", "prompt", "instruction", "mention")
            if getattr(settings, name) and not can.takes_prompts and not _is_task(settings, name)
        ]  # fmt: skip
        self.notes = [f"{captioner.model} takes no prompts: {', '.join(unused)} made no difference"] if unused else []

    def caption(self, pictures: Sequence[Image.Image], context: str = "") -> str:
        """The caption of one picture, or the instruction that leads from the first pictures to the last.

        Raises CaptionFailed.
        """
        return self._one(Look(tuple(pictures), context)).text

    def caption_tile(self, picture: Image.Image, context: str) -> str:
        """The caption of a part of a picture that `context` describes as a whole. Raises CaptionFailed."""
        return self._one(Look((picture,), context)).text

    def caption_all(self, looks: Sequence[Look]) -> list[Written | CaptionFailed]:
        """One result for each, in order, in a single call of the captioner."""
        asks = [
            Ask(look.pictures, system_prompt(self.settings), user_prompt(self.settings, look.context)) for look in looks
        ]
        return [self._written(ask, a) for ask, a in zip(asks, self.captioner.answer(asks), strict=True)]

    def stream(
        self, items: Iterable[Key], load: Callable[[Key], Look], stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[tuple[Key, Written | CaptionFailed]]:
        """A result for each item, as they become ready, as many at once as the captioner takes.

        `load` opens an item's pictures, in a thread; what it raises as CaptionFailed or InputError is that item's
        result. Where `stopped` says so, what is under way is given up and nothing more is yielded.
        Raises RunFailed when the server is gone, or no other picture would fare better.
        """
        can = self.captioner.abilities
        waiting = iter(items)
        running: set[Future[list[tuple[Key, Written | CaptionFailed]]]] = set()
        gone = 0
        with ThreadPoolExecutor(can.calls, thread_name_prefix="caption") as pool:
            try:
                while not stopped():
                    while len(running) <= can.calls and (batch := list(islice(waiting, can.at_once))):
                        running.add(pool.submit(self._batch, batch, load))
                    if not running:
                        return
                    done, running = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                    for key, result in (pair for future in done for pair in future.result()):
                        yield key, result
                        unreachable = isinstance(result, CaptionFailed) and result.reason == "unreachable"
                        gone = gone + 1 if unreachable else 0
                        if gone >= MOST_UNREACHABLE:
                            raise RunFailed(f"{result}. Captions that were written before are kept; start again later")
            finally:
                if running:
                    self.captioner.stop()
                pool.shutdown(wait=True, cancel_futures=True)

    def _one(self, look: Look) -> Written:
        result = self.caption_all([look])[0]
        if isinstance(result, CaptionFailed):
            raise result
        return result

    def _batch(self, keys: list[Key], load: Callable[[Key], Look]) -> list[tuple[Key, Written | CaptionFailed]]:
        looks: dict[int, Look] = {}
        results: dict[int, Written | CaptionFailed] = {}
        for number, key in enumerate(keys):
            try:
                looks[number] = load(key)
            except CaptionFailed as e:
                results[number] = e
            except InputError as e:
                results[number] = CaptionFailed("picture", str(e))
        if looks:
            results |= zip(looks, self.caption_all(list(looks.values())), strict=True)
        return [(key, results[number]) for number, key in enumerate(keys)]

    def _written(self, ask: Ask, answer: Answer | CaptionFailed) -> Written | CaptionFailed:
        if isinstance(answer, CaptionFailed):
            return answer
        notes: list[str] = []
        settings, can = self.settings, self.captioner.abilities
        try:
            if can.tags:
                tags = trim_tags(answer.text.split(", "), self.nouns, settings.leave_out)
                text = ", ".join(tags[: settings.longest])
            else:
                text, was_cut = clean(answer, settings.longest)
                notes += ["cut, as it was too long"] if was_cut else []
                if not can.takes_prompts:
                    text = trim_prose(text, self.nouns, settings.leave_out)
        except CaptionFailed as e:
            return e
        if not any(c.isalnum() for c in text):
            return CaptionFailed("empty", "nothing is left of the caption without what it should leave out")
        notes += [f"still says '{phrase}'" for phrase in names(text, settings.leave_out)]
        if settings.kind == "style" and settings.traits == "leave-out" and (word := STYLE_WORDS.search(text)):
            notes.append(f"still says '{word[0]}', which is about style")
        return Written(with_trigger(text, settings.trigger), ask.prompt if can.takes_prompts else "", tuple(notes))


def with_trigger(caption: str, trigger: str) -> str:
    """The caption with the trigger word in it, spelled exactly so: put in front where it is nowhere."""
    if not trigger:
        return caption
    caption = apply_trigger(caption, trigger)
    if has_trigger(caption, trigger):
        return caption
    spelled, count = re.subn(rf"(?<!\w){re.escape(trigger)}(?!\w)", lambda _: trigger, caption, flags=re.IGNORECASE)
    return spelled if count else f"{trigger}, {caption}"


def open_engine(
    settings: CaptionConfig,
    server: ServerConfig | None = None,
    tagger: TaggerConfig | None = None,
    tell: Tell = tell_nobody,
) -> Engine:
    """The engine that the settings describe, with its model loaded or its server asked; `tell` hears of stages.

    Raises InputError where it cannot be had.
    """
    server = server or ServerConfig()
    if settings.engine == "ollama":
        from likeness.captioning.ollama import Ollama

        return Engine(settings, Ollama(settings, server, tell))
    if settings.engine == "openai":
        from likeness.captioning.openai import OpenAI

        return Engine(settings, OpenAI(settings, server))
    if settings.engine == "tagger":
        from likeness.captioning.tagger import open_tagger

        return Engine(settings, open_tagger(settings, tagger or TaggerConfig(), tell))
    from likeness.captioning.local import open_local

    return Engine(settings, open_local(settings, tell))


def _is_task(settings: CaptionConfig, name: str) -> bool:
    """Florence-2 takes its task as the prompt."""
    return name == "prompt" and re.fullmatch(r"<[A-Z_]+>", settings.prompt) is not None
