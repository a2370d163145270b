"""Picture files for tests."""

import random
from base64 import b64decode
from pathlib import Path

from PIL import Image

# 24x16, the left half red, the right half blue. Written by libheif, which the reader here comes without.
HEIC = b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAXxtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAACJpbG9jAA"
    "AAAERAAAEAAQAAAAABoAABAAAAAAAAAE4AAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRtAAAAAAABAAAA/GlwcnAA"
    "AADcaXBjbwAAAHVodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQApQgEBA3AAAAMAkA"
    "AAAwAAAwAeoCCBBZbqrprm4CGgwIAAAAyAAAADAIRiAAEABkQBwXPBiQAAABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAAQAAA"
    "AChjbGFwAAAAGAAAAAEAAAAQAAAAAf///9gAAAAC////0AAAAAIAAAAQcGl4aQAAAAADCAgIAAAAGGlwbWEAAAAAAAAAAQABBYECAwWEAAAAVm"
    "1kYXQAAABKKAGvCchqxx4jmJb/h//+BPIYMT38+Uoc1W7FlA4TR5wggM4upUt3zVftBuc3roXrpPP0vfNVaN/fnWoyexed/dzwDfDnKsBtHZw="
)


def write_picture(file: Path, size: tuple[int, int] = (24, 20)) -> Path:
    """A small picture of noise that its name and its folder's decide."""
    file.parent.mkdir(parents=True, exist_ok=True)
    noise = random.Random(f"{file.parent.name}/{file.name}").randbytes(size[0] * size[1] * 3)
    Image.frombytes("RGB", size, noise).save(file)
    return file
