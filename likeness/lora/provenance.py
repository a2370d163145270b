"""What a LoRA file that was made of others says of itself, and what any file says of its origin."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MADE_OF = "likeness_made_of"
_CARRIED = ("modelspec.architecture", "modelspec.resolution", "ss_base_model_version", "ss_v2")


@dataclass(frozen=True)
class Source:
    """A file that another was made of."""

    name: str
    file: str
    sha256: str
    strength: float
    trigger: str


def source_of(path: Path, metadata: Mapping[str, str], strength: float = 1.0) -> Source:
    with path.open("rb") as f:
        digest = hashlib.file_digest(f, "sha256").hexdigest()
    return Source(name_of(metadata) or path.stem, path.name, digest, strength, trigger_of(metadata))


def merged_metadata(
    name: str, sources: Sequence[Source], metadata: Sequence[Mapping[str, str]], made: Mapping[str, Any], rank: int
) -> dict[str, str]:
    """Metadata of a merged file: `made` says how; triggers are those of all; what all agree on is carried over."""
    triggers = list(dict.fromkeys(s.trigger for s in sources if s.trigger))
    trigger = ", ".join(triggers)
    base = next((str(b) for m in metadata if (b := own_words(m).get("base"))), "")  # a name that Likeness knows
    carried = {k: metadata[0][k] for k in _CARRIED if k in metadata[0] and len({m.get(k) for m in metadata}) == 1}
    own = {
        "name": name, "base": base, "trigger": trigger, "rank": rank, "epoch": 0, "step": 0, "targets": "",
        "type": "lora",
    }  # fmt: skip
    return carried | {
        "likeness": json.dumps(own, sort_keys=True),
        MADE_OF: made_of(sources, made),
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.title": name,
        "modelspec.implementation": "diffusers",
        "modelspec.trigger_phrase": trigger,
        "modelspec.merged_from": ", ".join(s.name for s in sources),
        "ss_output_name": name,
        "ss_sd_model_name": base or next((n for m in metadata if (n := m.get("ss_sd_model_name"))), ""),
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(rank),
        "ss_network_alpha": str(rank),
        "ss_training_comment": f"trigger: {trigger}" if trigger else "",
    }


def made_of(sources: Sequence[Source], made: Mapping[str, Any]) -> str:
    """The text under MADE_OF."""
    return json.dumps({**made, "sources": [asdict(s) for s in sources]}, sort_keys=True)


def own_words(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What Likeness wrote into the file; nothing where another program did, or it is damaged."""
    return _object(metadata.get("likeness", ""))


def made_from(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What the file was made of, if Likeness made it of others."""
    return _object(metadata.get(MADE_OF, ""))


def name_of(metadata: Mapping[str, str]) -> str:
    return _first(own_words(metadata).get("name"), metadata.get("modelspec.title"), metadata.get("ss_output_name"))


def base_of(metadata: Mapping[str, str]) -> str:
    """The base as the file calls it: a name, a repository, or another program's file name."""
    kinds = metadata.get("modelspec.architecture"), metadata.get("ss_base_model_version")
    return _first(own_words(metadata).get("base"), metadata.get("ss_sd_model_name"), *kinds)


def trigger_of(metadata: Mapping[str, str]) -> str:
    comment = metadata.get("ss_training_comment", "")
    said = comment.removeprefix("trigger: ") if comment.startswith("trigger: ") else ""
    own = own_words(metadata).get("trigger")
    return _first(own, metadata.get("modelspec.trigger_phrase"), _listed(metadata.get("trained_words")), said)


def _listed(text: str | None) -> str:
    """SimpleTuner's list of words, as JSON or plain."""
    try:
        value: Any = json.loads(text or "")
    except ValueError:
        return text or ""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)  # pyright: ignore[reportUnknownVariableType]


def _first(*texts: Any) -> str:
    return next((t.strip() for t in texts if isinstance(t, str) and t.strip() not in ("", "None")), "")


def _object(text: str) -> dict[str, Any]:
    try:
        value: Any = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType]
