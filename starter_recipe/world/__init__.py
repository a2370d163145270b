"""A procedural, captioned cartoon world: what the starter base model is pretrained on.

A `Picture` (plain attributes) renders to pixels, to a caption and, with a second one, to an edit pair.
Everything is a pure function of the attributes and a seed.
"""

from starter_recipe.world.captions import caption
from starter_recipe.world.pairs import edit_pair
from starter_recipe.world.picture import SIZES, Picture, random_picture, random_size
from starter_recipe.world.reading import read
from starter_recipe.world.render import render

__all__ = ["SIZES", "Picture", "caption", "edit_pair", "random_picture", "random_size", "read", "render"]
