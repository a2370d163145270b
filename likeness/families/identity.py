"""Fingerprints of model files, for cache keys."""

import hashlib
from pathlib import Path

WHOLE_BYTES = 64 << 20  # files up to this size are hashed whole
BLOCKS, BLOCK_BYTES = 64, 64 << 10


def folder_identity(place: Path) -> str:
    """SHA-256 over names and contents of a model folder, or of one file.

    Of files over 64 MiB the size and 64 blocks spread evenly are taken: hashing 16 GB at every start would cost more
    than the encoding that the cache saves, and no retraining leaves all those blocks as they were.
    """
    digest = hashlib.sha256()
    folder = place if place.is_dir() else place.parent
    files = folder.rglob("*") if place.is_dir() else [place]
    for path in sorted(p for p in files if p.is_file() and not p.name.startswith(".")):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder)}:{size}:".encode())
        with path.open("rb") as f:
            if size <= WHOLE_BYTES:
                digest.update(f.read())
                continue
            for i in range(BLOCKS):
                f.seek(i * (size - BLOCK_BYTES) // (BLOCKS - 1))
                digest.update(f.read(BLOCK_BYTES))
    return digest.hexdigest()
