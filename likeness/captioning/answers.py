"""What engines answer, made into captions: wrapping taken off, refusals told apart, long ones cut at a sentence."""

import re

from likeness.captioning.protocol import Answer, CaptionFailed
from likeness.dataset.wording import one_line

_THINKING = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>\s*", re.DOTALL | re.IGNORECASE)
_UNCLOSED = re.compile(r"<think(?:ing)?>.*\Z", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"\A```\w*\n(.*?)\n?```\Z", re.DOTALL)
# 'Sure! Here is a caption for the picture:', 'Caption:'.
_PREAMBLE = re.compile(
    r"\A(?:(?:sure|certainly|of course|okay|ok)\b[^:\n]{0,20}?[,.!]?\s*)?"
    r"(?:here(?:'s| is| are)\b[^:\n]{0,80}:"
    r"|(?:\*\*)?(?:the )?(?:\w+ )?(?:caption|description|instruction)(?:\*\*)?\s*:(?:\*\*)?)\s*",
    re.IGNORECASE,
)
_QUOTES = {'"': '"', "“": "”", "'": "'", "«": "»", "`": "`"}
_DO = (
    "help|assist|describe|identify|provide|comply|create|write|generate|caption|fulfil|fulfill|do that|continue|"
    "process|view|see (?:the|any|this) (?:image|picture)|analy[sz]e|engage|discuss|share|offer"
)
# At the start alone: 'a sign that says "I can't help it"' is a caption.
_OPENING = r"\A(?:(?:unfortunately|however|hello|hi|thanks?[^.!]{0,40}|while [^.]{0,80}|but|and)[,.!]?\s+)*"
_REFUSAL = re.compile(
    rf"{_OPENING}(?:(?:i|we)(?: am|'m)? (?:really |very |so )?sorry\b|sorry\b|i apologi[sz]e\b"
    rf"|(?:i|we) (?:cannot|can't|can not|won't|will not|(?:am |are )?(?:not able|unable) to)(?: \w+)? (?:{_DO})\b"
    rf"|i'm (?:unable|not able|not allowed|not comfortable)\b|as an? (?:ai|language model)\b"
    rf"|(?:unable|not able) to (?:{_DO})\b|(?:that|this) (?:is|goes) against my\b)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\s\u3040-\u30ff\u3400-\u9fff]{1,30}")
_SENTENCE = re.compile(r"(?:[.!?…](?=[\"'”’)]*(?:\s|\Z))|[。！？])[\"'”’)]*")


def clean(answer: Answer, longest: int) -> tuple[str, bool]:
    """The caption in an answer, on one line and of at most `longest` words, and whether it had to be cut.

    Raises CaptionFailed('refused') and CaptionFailed('empty').
    """
    text = _UNCLOSED.sub("", _THINKING.sub("", answer.text)).strip()
    if fenced := _FENCE.match(text):
        text = fenced[1]
    text = one_line(_PREAMBLE.sub("", text, count=1)).replace("**", "")
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1] and text[0] not in text[1:-1]:
        text = text[1:-1].strip()
    if is_refusal(text):
        raise CaptionFailed("refused", f"the model refused: {_shortened(text)}")
    if not any(c.isalnum() for c in text):
        raise CaptionFailed("empty", "the model answered without words")
    text = without_loops(text)
    whole = text
    if answer.cut_off or count_words(text) > longest:
        text = cut(text, longest)
    return text, text != whole or answer.cut_off


def without_loops(text: str) -> str:
    """The text without what follows the same words at once: small models get caught in 'in a room, in a room, in …'."""
    parts = re.split(r"((?:[,;.!?…](?=\s|\Z)|[。！？，、；])\s*)", text)  # a piece, what ends it, the next piece
    kept: list[str] = []
    for piece, end in zip(parts[::2], [*parts[1::2], ""], strict=True):
        if kept and piece.strip() and piece.strip().casefold() == kept[-2].strip().casefold():
            kept[-1] = end
        else:
            kept += [piece, end]
    return "".join(kept)


def is_refusal(text: str) -> bool:
    """Whether the first sentence declines to answer."""
    first = _SENTENCE.split(text.replace("’", "'"), maxsplit=1)[0]
    return _REFUSAL.match(first[:300]) is not None


def count_words(text: str) -> int:
    """Words, with each sign of Chinese and Japanese, and every 30 letters that nothing divides, taken for one."""
    return len(_WORD.findall(text))


def cut(text: str, longest: int) -> str:
    """The whole sentences among the first `longest` words; where there is none, those up to the last comma or word."""
    words = list(_WORD.finditer(text))
    kept = text if len(words) <= longest else text[: words[longest - 1].end()]
    ends = [m.end() for m in _SENTENCE.finditer(kept)]
    if ends:
        return kept[: ends[-1]]
    comma = kept.rfind(",")
    return (kept[:comma] if comma > len(kept) // 2 else kept).rstrip(" ,;:-")


def _shortened(text: str, longest: int = 120) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
