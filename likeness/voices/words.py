"""Words heard against words meant."""

import re
import unicodedata


def words(text: str) -> list[str]:
    """Lower case, without punctuation and accents: how it is written does not count."""
    plain = unicodedata.normalize("NFKD", text.lower().replace("’", "'"))
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return re.findall(r"[^\W_]+(?:'[^\W_]+)?", plain)


def word_errors(meant: str, heard: str) -> tuple[int, int]:
    """The least number of words to change, leave out or put in, and the number of words meant."""
    a, b = words(meant), words(heard)
    row = list(range(len(b) + 1))
    for i, word in enumerate(a, start=1):
        before, row[0] = row[0], i
        for j, other in enumerate(b, start=1):
            before, row[j] = row[j], min(before + (word != other), row[j] + 1, row[j - 1] + 1)
    return row[-1], len(a)


def word_error_rate(pairs: list[tuple[str, str]]) -> float:
    """Over all (meant, heard): errors by words meant."""
    counted = [word_errors(meant, heard) for meant, heard in pairs]
    return sum(e for e, _ in counted) / max(sum(n for _, n in counted), 1)
