"""Train the starter's captioner: a full, plain caption from a picture.

    python -m starter_recipe.companions.captioner --minutes 25

It starts with the vision tower of the finished CLIP, which knows what pictures show already.
"""

from pathlib import Path

from transformers import CLIPModel, CLIPVisionConfig, CLIPVisionModel, GPT2Tokenizer, VisionEncoderDecoderModel

from starter_recipe.companions import FOLDER, WORK
from starter_recipe.companions.course import Course, run
from starter_recipe.companions.text import plain_caption, writing_tokenizer
from starter_recipe.companions.views import SIDE, Pixels, drawn, held_out_seed, squared, training_seed
from starter_recipe.companions.writer import make_writer, ship, shipped_writer, teach, write
from starter_recipe.world import Picture, read

# What a caption must name: of people, and of animals and things.
PERSON = ("kind", "style", "scene", "time", "hair", "hair_colour", "garment", "garment_colour", "expression", "pose",
          "framing", "accessory", "skin")  # fmt: skip
OTHER = ("kind", "style", "scene", "time", "noun", "colour", "accessory")
_UNSAID = ("none", "standing", "day")


def make_encoder(start: Path = FOLDER / "clip") -> CLIPVisionModel:
    """CLIP's vision tower, as a part of its own."""
    clip = CLIPModel.from_pretrained(start, dtype="float32")
    encoder = new_encoder(clip.config.vision_config)
    encoder.load_state_dict(clip.vision_model.state_dict())
    return encoder


def new_encoder(config: CLIPVisionConfig) -> CLIPVisionModel:
    return CLIPVisionModel._from_config(config, attn_implementation="eager")


def batch_of(course: Course, first: int) -> tuple[list[Pixels], list[str]]:
    drawings = [drawn(training_seed(course.name, first + i)) for i in range(course.batch)]
    return [squared(image) for _, image in drawings], [plain_caption(p) for p, _ in drawings]


def held_out(count: int, start: int = 0) -> tuple[list[Picture], list[Pixels]]:
    drawings = [drawn(held_out_seed(start + i)) for i in range(count)]
    return [p for p, _ in drawings], [squared(image) for _, image in drawings]


def judged(p: Picture, text: str) -> dict[str, bool]:
    """Whether each attribute that the picture shows is named right in `text`."""
    truth, said = read(plain_caption(p)), read(text)
    fields = PERSON if p.is_person else OTHER
    # A plain caption leaves unsaid what goes without saying: then naming anything else is wrong.
    return {
        f: said.get(f) == truth.get(f)
        for f in fields
        if f in truth or (getattr(p, f) in _UNSAID and not (f == "accessory" and p.kind == "thing"))
    }


def shares(pictures: list[Picture], texts: list[str]) -> dict[str, float]:
    """For each attribute, the share of the pictures that show it in which it is named right."""
    rows = [judged(p, text) for p, text in zip(pictures, texts, strict=True)]
    fields = dict.fromkeys((*PERSON, *OTHER))
    return {f: sum(seen) / len(seen) for f in fields if (seen := [row[f] for row in rows if f in row])}


def main() -> None:
    course = Course.from_command_line("captioner", __doc__, minutes=25, batch=64, rate=0.01)
    tokenizer = (
        GPT2Tokenizer.from_pretrained(FOLDER / course.name)
        if course.shipped
        else writing_tokenizer(WORK / course.name / "tokenizer")
    )
    model: VisionEncoderDecoderModel = make_writer(make_encoder(), tokenizer)
    if course.shipped:
        model.load_state_dict(shipped_writer(course.name).state_dict())
    pictures, images = held_out(96)

    def export() -> dict[str, float]:
        ship(model, tokenizer, new_encoder(model.encoder.config), FOLDER / course.name, SIDE)
        return shares(pictures, write(model, tokenizer, images))

    run(course, model, lambda first: teach(model, tokenizer, *batch_of(course, first)), export)


if __name__ == "__main__":
    main()
