"""Names of files made of what people call things."""

import re
import unicodedata

_OTHER = re.compile(r"[^A-Za-z0-9._-]+")
LONGEST = 80  # characters, so that every system holds it with an ending


def file_stem(name: str, otherwise: str) -> str:
    """'Mika & Friends' as 'Mika-Friends': letters, digits, '.', '_' and '-' alone; `otherwise` where none is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return _OTHER.sub("-", plain).strip(".-_")[:LONGEST].strip(".-_") or otherwise
