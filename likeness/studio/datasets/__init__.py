"""Datasets: pictures with captions, or pairs, in the workspace.

Files are the truth; the database holds names and versions. All functions take the studio and a dataset's id or name.
Besides those below: `arrivals` (files, archives, folders put in), `captions`, `pairs`, `crops`, `checking` (findings
and their fixes), `jobs` (captioning, enlarging), `steps` (undo) and `copying` (export, duplicates).
"""

from likeness.studio.datasets.files import add, add_text, find, path_of, remove
from likeness.studio.datasets.files import listed as pictures
from likeness.studio.datasets.freezing import (
    Difference,
    bring_back,
    compare,
    freeze,
    version,
    version_folder,
    versions,
)
from likeness.studio.datasets.rows import (
    KINDS,
    change,
    create,
    delete,
    erase,
    files_of,
    get,
    listed,
    restore,
)

__all__ = [
    "KINDS",
    "Difference",
    "add",
    "add_text",
    "bring_back",
    "change",
    "compare",
    "create",
    "delete",
    "erase",
    "files_of",
    "find",
    "freeze",
    "get",
    "listed",
    "path_of",
    "pictures",
    "remove",
    "restore",
    "version",
    "version_folder",
    "versions",
]
