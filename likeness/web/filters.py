"""How numbers, times and attributes are written on pages."""

import json
import time
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

_SIZES = ("B", "kB", "MB", "GB", "TB")


def size(count: float) -> str:
    """Bytes in decimal units: 999 B, 1.2 kB, 34 MB."""
    unit = 0
    while count >= 999.5 and unit < len(_SIZES) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:.1f} {_SIZES[unit]}" if unit and count < 9.95 else f"{count:.0f} {_SIZES[unit]}"


def duration(seconds: float) -> str:
    """Two units at most: 45 s, 3 min, 1 h 20 min, 2 d 4 h."""
    if seconds < 90:
        return f"{max(0, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def ago(moment: float) -> str:
    """How long a moment, in seconds since 1970, lies back; its date where that is more than a week."""
    past = time.time() - moment
    if past < 45:
        return "just now"
    minutes, hours = round(past / 60), round(past / 3600)
    if minutes < 60:
        return f"{max(1, minutes)} min ago"
    if hours < 24:
        return f"{hours} h ago"
    return f"{round(past / 86400)} d ago" if past < 7 * 86400 else date(moment).split(" ")[0]


def date(moment: float) -> str:
    """A moment in local time: 2026-11-21 17:16."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))


def attributes(given: Mapping[str, Any]) -> Markup:
    """HTML attributes, each after a space: a dict or list as JSON, None and False left out. All is escaped, also what
    is markup already, since nothing is markup within an attribute."""
    written = ""
    for name, value in given.items():
        if value is None or value is False:
            continue
        text = json.dumps(value) if isinstance(value, dict | list) else "" if value is True else str(value)
        written += f' {name}="{escape(str(text))}"'
    return Markup(written)
