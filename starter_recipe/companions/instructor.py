"""Train the starter's instructor: the words of an edit, from the pictures before and after it.

    python -m starter_recipe.companions.instructor --minutes 15

It sees both side by side, before on the left. It starts from the finished captioner, whose square tower is turned into
one of twice the width (see `widened`).
"""

import torch
from transformers import CLIPVisionModel, GPT2Tokenizer, ViTConfig, ViTModel

from starter_recipe.companions import FOLDER
from starter_recipe.companions.course import Course, run
from starter_recipe.companions.text import plain_instruction
from starter_recipe.companions.views import (
    PATCH,
    SIDE,
    Pair,
    Pixels,
    beside,
    drawn,
    drawn_pair,
    held_out_seed,
    pixel_values,
    squared,
    training_seed,
)
from starter_recipe.companions.writer import make_writer, ship, shipped_writer, teach, write
from starter_recipe.world.picture import COLOURS, PROPS, TIMES

FIELDS = ("style", "scene", "time", "accessory", "prop", "emblem", "noun", "expression", "hair_colour", "colour",
          "garment_colour", "accessory_colour", "prop_colour")  # fmt: skip


def new_encoder(like: CLIPVisionModel | None = None) -> ViTModel:
    """A tower for 256 × 128 pixels, of the shape of `like` or the captioner's."""
    shape = (like or shipped_writer("captioner").encoder).config
    config = ViTConfig(
        hidden_size=shape.hidden_size,
        num_hidden_layers=shape.num_hidden_layers,
        num_attention_heads=shape.num_attention_heads,
        intermediate_size=shape.intermediate_size,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        layer_norm_eps=shape.layer_norm_eps,
        image_size=[SIDE, 2 * SIDE],
        patch_size=PATCH,
    )
    return ViTModel._from_config(config, attn_implementation="eager")


@torch.no_grad()
def widened(tower: CLIPVisionModel) -> ViTModel:
    """`tower` with two pictures side by side in its view.

    Both halves get the same positions plus a small mark of the half, so that a place in one finds its like in the
    other from the start. CLIP's norm before the first layer, which ViT lacks, is folded into the embeddings for a
    token of average spread.
    """
    wide = new_encoder(tower)
    embeddings, norm = tower.embeddings, tower.pre_layrnorm
    kernel, positions = embeddings.patch_embedding.weight, embeddings.position_embedding.weight
    examples = pixel_values([squared(drawn(training_seed("widened", i))[1]) for i in range(32)])
    gain = norm.weight / embeddings(examples).std(dim=-1).mean()

    def normed(x: torch.Tensor) -> torch.Tensor:  # (N, D)
        return (x - x.mean(1, keepdim=True)) * gain + norm.bias

    flat = kernel.flatten(1)
    projection = wide.embeddings.patch_embeddings.projection
    projection.weight.copy_(((flat - flat.mean(0)) * gain[:, None]).view_as(kernel))
    projection.bias.zero_()
    wide.embeddings.cls_token.copy_(normed((embeddings.class_embedding + positions[0])[None])[None])
    side = SIDE // PATCH
    half = normed(positions[1:]).view(side, side, -1)
    mark = 0.1 * half.std() * torch.randn(2, half.shape[-1])
    both = torch.cat([half + mark[0], half + mark[1]], dim=1).flatten(0, 1)
    wide.embeddings.position_embeddings.copy_(torch.cat([torch.zeros(1, half.shape[-1]), both])[None])
    names = {"layer_norm1": "layernorm_before", "layer_norm2": "layernorm_after", "out_proj": "o_proj"}
    names |= {"self_attn": "attention", "encoder.": ""}
    state = {k: v for k, v in tower.state_dict().items() if k.startswith("encoder.layers")}
    for old, new in names.items():
        state = {k.replace(old, new): v for k, v in state.items()}
    left_out = wide.load_state_dict(state, strict=False)
    if left_out.unexpected_keys or any(k.startswith("layers") for k in left_out.missing_keys):
        raise ValueError(f"the towers do not match: {left_out}")
    return wide


def batch_of(course: Course, first: int) -> tuple[list[Pixels], list[str]]:
    pairs = [drawn_pair(training_seed(course.name, first + i)) for i in range(course.batch)]
    return [beside(*pixels) for _, pixels in pairs], [plain_instruction(*pair) for pair, _ in pairs]


def held_out(count: int, start: int = 1_000_000) -> tuple[list[Pair], list[Pixels]]:
    pairs = [drawn_pair(held_out_seed(start + i)) for i in range(count)]
    return [pair for pair, _ in pairs], [beside(*pixels) for _, pixels in pairs]


def changed(pair: Pair) -> str:
    """The attribute that an edit changes."""
    before, after = pair
    return next(f for f in FIELDS if getattr(before, f) != getattr(after, f))


def kind_of(instruction: str) -> str:
    """The attribute that a plain instruction speaks of; '' for what is none.

    All recolouring of what is drawn in colour, hair aside, is "colour".
    """
    verb, *rest = instruction.split(" ")
    last = rest[-1] if rest else ""
    if instruction.startswith("make it "):
        return "time" if last in TIMES else "style"
    if verb in ("change", "use"):
        return "scene"
    if verb in ("remove", "replace"):
        what = instruction.removeprefix(f"{verb} the ").split(" with ")[0]
        return "emblem" if " from the " in what else "prop" if what in PROPS else "accessory"
    if verb == "make":
        return "hair_colour" if rest[:2] == ["the", "hair"] and len(rest) == 3 else (
            "colour" if last in COLOURS else "expression"
        )  # fmt: skip
    return {"put": "emblem", "add": "accessory", "give": "prop", "turn": "noun"}.get(verb, "")


def shares(pairs: list[Pair], texts: list[str]) -> dict[str, float]:
    """'exact': all words right; 'kind': the right sort of change; then all words right by changed attribute."""
    wanted = [plain_instruction(*pair) for pair in pairs]
    right = [text == want for text, want in zip(texts, wanted, strict=True)]
    kinds = [kind_of(text) == kind_of(want) for text, want in zip(texts, wanted, strict=True)]
    fields = [changed(pair) for pair in pairs]
    by_field = {
        f: sum(r for r, g in zip(right, fields, strict=True) if g == f) / fields.count(f) for f in FIELDS if f in fields
    }
    return {"exact": sum(right) / len(right), "kind": sum(kinds) / len(kinds), **by_field}


def main() -> None:
    course = Course.from_command_line("instructor", __doc__, minutes=15, batch=48, rate=0.01)
    tokenizer = GPT2Tokenizer.from_pretrained(FOLDER / "captioner")
    start = shipped_writer("captioner")
    model = make_writer(widened(start.encoder), tokenizer)
    model.decoder.load_state_dict(start.decoder.state_dict())
    if course.shipped:
        model.load_state_dict(shipped_writer(course.name).state_dict())
    pairs, images = held_out(96)

    def export() -> dict[str, float]:
        ship(model, tokenizer, new_encoder(start.encoder), FOLDER / course.name, 2 * SIDE)
        return shares(pairs, write(model, tokenizer, images))

    run(course, model, lambda first: teach(model, tokenizer, *batch_of(course, first)), export)


if __name__ == "__main__":
    main()
