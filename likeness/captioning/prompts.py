"""What engines that take prompts are asked, by what will be learned."""

from likeness.config.caption import CaptionConfig

CONTEXT = "{context}"  # in a prompt: what is known of the picture

_SYSTEM = (
    "You write captions that an image model is trained on. Answer with the caption alone: plain prose in one or two "
    "sentences, at most {words} words, without a preamble, quotes, lists or markup. Say only what can be seen; guess "
    "no names, feelings or stories."
)
_SYSTEM_EDIT = (
    "You write instructions that an image editing model is trained on. Answer with the instruction alone: one sentence "
    "that begins with a verb, at most {words} words, without a preamble, quotes or markup."
)
_TASKS = {
    "character": "Describe this picture of a character: pose, expression, clothes, things held, framing, place, light.",
    "style": "Describe what this picture shows: the subject, its surroundings, what happens, light and colours.",
    "product": "Describe this picture of a product: where it stands, what is around it, angle, framing, light.",
    "environment": "Describe this picture of a place: viewpoint, time of day, weather, light, who and what is in it.",
    "edit": "The last picture is the one before it after an edit. Write the instruction that leads there. Name what "
    "changes and what it becomes, and leave unsaid what stays the same.",
}
# What belongs to the thing learned, so that the trigger should take it up.
_OWN = {
    "character": "what always belongs to the character: face, hair, eyes, skin, build, age, marks",
    "style": "how the picture is made: style, medium, technique, brush, lines, artist",
    "product": "what always belongs to the product: its shape, colour, material, label and logo",
    "environment": "what always belongs to the place: its buildings, layout and materials",
}


def system_prompt(settings: CaptionConfig) -> str:
    """What the engine is told first."""
    if settings.system:
        return settings.system
    return (_SYSTEM_EDIT if settings.kind == "edit" else _SYSTEM).format(words=settings.longest)


def user_prompt(settings: CaptionConfig, context: str = "") -> str:
    """What the engine is asked about one picture of which `context` is known."""
    parts = [settings.prompt or _TASKS[settings.kind]]
    own = _OWN.get(settings.kind)
    if own and not settings.prompt:
        parts.append(f"{'Leave out' if settings.traits == 'leave-out' else 'Also name'} {own}.")
    if settings.mention:
        parts.append(f"Where it can be seen, name: {'; '.join(settings.mention)}.")
    if settings.leave_out:
        parts.append(f"Do not use these words: {'; '.join(settings.leave_out)}.")
    if settings.trigger and settings.kind in ("character", "product") and not settings.prompt:
        parts.append(f"Call the {settings.kind} {settings.trigger}, spelled exactly so.")
    if settings.instruction:
        parts.append(settings.instruction)
    if context and CONTEXT not in settings.prompt:
        parts.append(f"What is known of the picture: {context}")
    return " ".join(parts).replace(CONTEXT, context)


def answer_tokens(settings: CaptionConfig) -> int:
    """Room for the longest caption, for words of several tokens, and for some thought before it."""
    return 256 + 4 * settings.longest
