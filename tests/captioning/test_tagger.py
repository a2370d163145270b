"""WD14 taggers: the table, the thresholds, and a real ONNX file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from likeness.captioning.engine import Engine, Look, Written, open_engine
from likeness.captioning.protocol import CaptionFailed
from likeness.captioning.tagger import Tagger, read_table, squared
from likeness.config.caption import CaptionConfig, TaggerConfig
from likeness.errors import InputError

TABLE = """tag_id,name,category,count
1,general,9,1
2,questionable,9,1
3,long_hair,0,1
4,^_^,0,1
5,outdoors,0,1
6,red_scarf,0,1
7,hatsune_miku,4,1
"""
CERTAINTIES = [0.6, 0.4, 0.9, 0.5, 0.3, 0.7, 0.9]
PICTURE = Image.new("RGB", (40, 20), (10, 20, 30))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "selected_tags.csv").write_text(TABLE)
    return tmp_path / "selected_tags.csv"


def tags(table: Path, *, certainties: list[float] = CERTAINTIES, kind: str = "product", **settings: Any) -> Any:
    """What a tagger that is so certain writes."""

    def run(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.array([certainties] * len(pictures), dtype=np.float32)

    caption = CaptionConfig.model_validate({"engine": "tagger", "kind": kind})
    tagger = Tagger("t", run, 8, read_table(table), TaggerConfig(**settings), 4)
    (result,) = Engine(caption, tagger).caption_all([Look((PICTURE,))])
    return result.text if isinstance(result, Written) else result


def test_tags_are_those_that_are_certain_enough(table: Path):
    assert tags(table) == "hatsune miku, long hair, red scarf, ^_^"
    assert tags(table, general_threshold=0.8) == "hatsune miku, long hair"
    assert tags(table, character_threshold=0.95, underscores=True) == "long_hair, red_scarf, ^_^"
    assert tags(table, exclude_tags=["long hair", "RED_SCARF"], rating_tags=True) == "hatsune miku, ^_^, general"
    assert tags(table, kind="character") == "hatsune miku, red scarf, ^_^"
    nothing = tags(table, certainties=[0.1] * 7)
    assert isinstance(nothing, CaptionFailed) and nothing.reason == "empty"


def test_pictures_are_squared_with_white_in_blue_green_red():
    pixels = squared(PICTURE, 40)
    assert pixels.shape == (40, 40, 3) and pixels.dtype == np.float32
    assert [pixels[row, 5].tolist() for row in (9, 10, 29, 30)] == [[255] * 3, [30, 20, 10], [30, 20, 10], [255] * 3]
    assert squared(PICTURE, 4).shape == (4, 4, 3)


def test_broken_taggers_are_told(tmp_path: Path, table: Path):
    table.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="is no table of tags"):
        read_table(table)
    with pytest.raises(InputError, match=r"lacks model\.onnx"):
        open_engine(CaptionConfig(engine="tagger", model=str(tmp_path)))
    with pytest.raises(InputError, match="name a tagger"):
        open_engine(CaptionConfig(engine="tagger"))


# --- a real file


def field(number: int, value: int | bytes | str) -> bytes:
    """One field of a protocol buffer."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    data = value.encode() if isinstance(value, str) else value
    return bytes([number << 3 | 2, len(data)]) + data


def means_of_channels() -> bytes:
    """An ONNX file (ModelProto of onnx.proto3): pictures (?, 8, 8, 3), divided by 255 and averaged, as (?, 3)."""

    def value(name: str, *sizes: int | str) -> bytes:
        dims = b"".join(field(1, field(2 if isinstance(s, str) else 1, s)) for s in sizes)
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))

    scale = field(2, 1) + field(8, "scale") + field(9, np.float32(1 / 255).tobytes())
    axes = field(1, 2) + field(2, 7) + field(8, "axes") + field(9, np.array([1, 2], np.int64).tobytes())
    scaled = field(1, "pictures") + field(1, "scale") + field(2, "scaled") + field(4, "Mul")
    keep = field(5, field(1, "keepdims") + field(3, 0) + field(20, 2).replace(b"\xa0", b"\xa0\x01"))
    mean = field(1, "scaled") + field(1, "axes") + field(2, "tags") + field(4, "ReduceMean") + keep
    graph = field(1, scaled) + field(1, mean) + field(2, "g") + field(5, scale) + field(5, axes)
    graph += field(11, value("pictures", "N", 8, 8, 3)) + field(12, value("tags", "N", 3))
    size, operators = len(graph), field(1, "") + field(2, 18)
    return field(1, 8) + bytes([7 << 3 | 2, size & 127 | 128, size >> 7]) + graph + field(8, operators)


def test_a_real_file_is_run(tmp_path: Path):
    pytest.importorskip("onnxruntime")
    (tmp_path / "model.onnx").write_bytes(means_of_channels())
    (tmp_path / "selected_tags.csv").write_text("tag_id,name,category,count\n1,blue,0,1\n2,green,0,1\n3,red,0,1\n")
    engine = open_engine(CaptionConfig(engine="tagger", model=str(tmp_path), device="cpu", parallel=2))
    pictures = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue", "yellow", "black")]
    results = dict(engine.stream(range(4), lambda n: Look((pictures[n],))))
    told = [results[n] for n in range(4)]  # they come as they are ready
    texts = [r.text if isinstance(r, Written) else r.reason for r in told]
    assert texts == ["red", "blue", "green, red", "empty"]
    (tmp_path / "selected_tags.csv").write_text("tag_id,name,category,count\n1,blue,0,1\n")
    with pytest.raises(InputError, match=r"knows 3 tags and selected_tags\.csv 1"):
        open_engine(engine.settings)
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(InputError, match="cannot be loaded"):
        open_engine(engine.settings)
