"""Which attributes a text names and a picture shows, as classes that a network can be asked for."""

from starter_recipe.companions.text import plain_caption
from starter_recipe.fields import FIELDS
from starter_recipe.world import Picture, read


def named_in(text: str) -> dict[str, str]:
    """Without values that are no class: an edit makes gray what pretraining never draws gray."""
    return {field: value for field, value in read(text).items() if value in FIELDS[field]}


def shown_in(p: Picture) -> dict[str, str]:
    """What a caption that says everything names."""
    return named_in(plain_caption(p))
