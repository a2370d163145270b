"""All Cards, family by family: newest first, so that lists begin with what is best to pick today."""

from likeness.catalog import flux1, flux2, flux3, krea2, qwen_image, stable_diffusion, z_image
from likeness.catalog.card import Card

# Sizes of downloads on the Cards are counted from parameters at two bytes each.
CARDS: dict[str, Card] = {
    card.name: card
    for family in (flux2, qwen_image, flux3, krea2, z_image, flux1, stable_diffusion)
    for card in family.CARDS
}
FAMILIES: tuple[str, ...] = tuple(dict.fromkeys(card.family for card in CARDS.values()))
