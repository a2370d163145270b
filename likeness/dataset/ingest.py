"""A dataset read into examples: whatever its layout, with everything wrong in it told at once.

Every file is decoded and hashed before anything is trained, so that one broken picture is told at the start, together
with all other problems, and not in the middle of a night.
"""

import difflib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from likeness.config.data import DatasetConfig
from likeness.dataset.captions import (
    CAPTION_SUFFIXES,
    apply_trigger,
    caption_of_name,
    has_placeholder,
    read_captions,
    read_shared,
    some_of,
)  # fmt: skip
from likeness.dataset.formats import OTHER_PICTURES, READ_FORMATS, Measured, measure
from likeness.dataset.index import Facts, Index, gather
from likeness.dataset.manifest import Example, example_id
from likeness.dataset.masks import CONDITION_SUFFIX, FindMask, labels, mask_finder, mask_suffix
from likeness.dataset.metadata import Lookup, Row, find_metadata, read_metadata
from likeness.dataset.pairs import find_pairs, is_side, row_mask
from likeness.dataset.problems import Problem, Remarks
from likeness.dataset.sources import Candidate, Source, folder_repeats, open_source
from likeness.dataset.wording import one_line
from likeness.errors import InputError

MEASURED = "measured 1"  # kind of fact in the index; another number where `measure` comes to other answers
MAX_ASPECT_RATIO = 1.02
MOST_NOTES = 20  # of one kind; a folder of another purpose would drown all else

Progress = Callable[[int, int], object]  # files done, files in all


@dataclass(frozen=True)
class Reading:
    """What came of a dataset. With problems the examples are those that are sound."""

    examples: list[Example]
    problems: list[Problem]
    notes: list[str]  # what was left out, and how names were understood


@dataclass(frozen=True)
class _Texts:
    """Where the captions of a dataset come from, besides files beside the pictures."""

    shared: tuple[str, ...]  # lines to draw from
    fallback: tuple[str, ...]


def read_dataset(
    settings: DatasetConfig,
    *,
    index: Index,
    store: Path,
    kind: str = "character",
    trigger: str = "",
    number: int = 0,
    require_captions: bool = True,
    progress: Progress | None = None,
) -> Reading:
    """Read one dataset: `settings` with absolute paths. Never raises for what is in it.

    `kind` is the run's: 'edit' reads pairs. `trigger` is the run's too; the dataset may have its own. `number` is its
    place in `data.datasets`. Archives are unpacked below `store`.
    """
    remarks, examples = Remarks(), list[Example]()
    trigger = "" if settings.type == "regularisation" else trigger if settings.trigger is None else settings.trigger
    try:
        source, candidates = find_candidates(settings, kind, store, remarks)
        texts = _Texts(*_common_texts(settings, kind, trigger))
        for candidate, facts in _measured(candidates, index, remarks, progress):
            captions = _captions_of(candidate, source, settings, texts, trigger, remarks, require_captions)
            if facts is not None and _fits(candidate, facts, remarks) and captions is not None:
                examples.append(_example(candidate, facts, captions, settings, source, trigger, number))
        remarks.notes += [*_left_out(source, candidates), *_without_mask(examples, settings)]
    except InputError as e:
        remarks.problems += Problem.of("layout", e)
    told = remarks.plain()
    return Reading(examples, told.problems, told.notes)


# --- what belongs together


def find_candidates(
    settings: DatasetConfig, kind: str, store: Path, remarks: Remarks
) -> tuple[Source, list[Candidate]]:
    """The files of a dataset, and what belongs together among them; no picture is opened. Single faults go to
    `remarks`. Raises InputError if there is nothing to read."""
    is_edit = kind == "edit"
    if settings.controls and not is_edit:
        raise InputError(
            "controls: are for edits, and this run's kind is another. Fix: `kind: edit`, or leave them out"
        )
    if settings.captions_file and settings.captions_from != "auto":
        raise InputError("captions_file: is not read with `captions_from`. Fix: leave one of the two out")
    source = open_source(settings, store, remarks, is_side if is_edit else lambda _: False)
    find_mask = mask_finder(settings, source.pictures, source.root, remarks)
    hidden = labels(source.pictures, (mask_suffix(settings), *(() if is_edit else (CONDITION_SUFFIX,))))
    source = replace(source, files=[f for f in source.files if f not in hidden])
    if not is_edit:
        return source, _find_pictures(settings, source, find_mask, remarks)
    candidates = find_pairs(settings, source, find_mask, remarks)
    rows = _own_rows(settings, remarks)
    return source, [_with_row(c, rows.row_of(c.picture)) for c in candidates] if rows else candidates


def _own_rows(settings: DatasetConfig, remarks: Remarks) -> Lookup | None:
    """The list of captions that the settings name."""
    file = Path(settings.captions_file or "")
    if settings.captions_file is None or file.suffix.lower() == ".txt":
        return None
    return Lookup(read_metadata(file, remarks.problems), Path(os.path.abspath(settings.path)))


def _with_row(candidate: Candidate, row: Row | None) -> Candidate:
    return replace(candidate, row=row, bases=()) if row and row.captions else candidate


def _find_pictures(
    settings: DatasetConfig, source: Source, find_mask: FindMask, remarks: Remarks
) -> list[Candidate]:  # fmt: skip
    rows = _own_rows(settings, remarks)
    listed_in = source.listed_in
    if rows is None and settings.captions_file is None and settings.captions_from == "auto":
        listed_in = listed_in or find_metadata(source.root)
        rows = Lookup(read_metadata(listed_in, remarks.problems), listed_in.parent) if listed_in else None
    real_root = os.path.realpath(source.root)
    found: list[Candidate] = []
    for picture in source.pictures:
        row = rows.row_of(picture) if rows else None
        if source.listed_in and row is None:
            continue
        mask = row_mask(row, source.root, real_root, remarks) if row and row.mask else find_mask(picture)
        base = str(picture.with_suffix(""))
        write_to = picture.with_suffix(".txt").name
        found.append(Candidate(picture, str(picture), (base,), f"{write_to} beside it", (), mask, row))
    if source.listed_in:
        _tell_missing(rows, found, source.listed_in, remarks)
    return found


def _tell_missing(rows: Lookup | None, found: Sequence[Candidate], listed_in: Path, remarks: Remarks) -> None:
    used = {id(c.row) for c in found}
    missing = [row for row in rows.rows if id(row) not in used] if rows else []
    for row in missing:
        what = f"{row.where}: there is no picture '{row.picture}' in {listed_in.parent}. "
        remarks.problems.append(Problem("metadata", f"{what}Fix: correct the path, add the file, or delete the row"))
    if not found and not remarks.problems:
        raise InputError(f"{listed_in} names no pictures. Fix: list them, or name the folder")


# --- captions


def _common_texts(settings: DatasetConfig, kind: str, trigger: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    shared: tuple[str, ...] = ()
    if settings.captions_file and settings.captions_file.lower().endswith(".txt"):
        shared = read_shared(Path(settings.captions_file))
    if kind == "edit":
        fallback = one_line(settings.instruction or settings.caption or "")
    else:
        fallback = one_line(settings.caption or "") or trigger
    return shared, (fallback,) if fallback else ()


def _captions_of(
    candidate: Candidate,
    source: Source,
    settings: DatasetConfig,
    texts: _Texts,
    trigger: str,
    remarks: Remarks,
    required: bool,
) -> tuple[str, ...] | None:
    """The captions of one picture, () if it may be without; None if they cannot be used, which is then told."""
    picture = str(candidate.picture)
    try:
        found = _own_captions(candidate, source, settings, texts)
    except InputError as e:
        remarks.problems += Problem.of("caption", e, picture)
        return None
    is_pair = bool(candidate.references)
    if not found and required:
        what, setting = ("instruction", "instruction") if is_pair else ("caption", "caption")
        remarks.problems.append(Problem(
            "caption_missing", f"{candidate.name}: has no {what}. Fix: write {candidate.write_to}, or set `{setting}:` "
            "for the whole dataset", (picture,),
        ))  # fmt: skip
        return None
    if not trigger and any(has_placeholder(text) for text in found):
        fix = "take [trigger] out" if settings.type == "regularisation" else "add `trigger: WORD`"
        remarks.problems.append(Problem(
            "trigger", f"{candidate.name}: the caption uses [trigger], and there is no trigger. Fix: {fix}", (picture,)
        ))  # fmt: skip
        return None
    return tuple(apply_trigger(text, trigger) for text in found)


def _own_captions(
    candidate: Candidate, source: Source, settings: DatasetConfig, texts: _Texts
) -> tuple[str, ...]:  # fmt: skip
    row = candidate.row.captions if candidate.row else ()
    if settings.captions_file:
        return texts.shared or row or texts.fallback
    if settings.captions_from == "none":
        return texts.fallback
    if settings.captions_from == "names":
        return tuple(filter(None, [caption_of_name(candidate.picture.stem)])) or texts.fallback
    for file in (source.sidecars[base] for base in candidate.bases if base in source.sidecars):
        if found := read_captions(file, settings.caption_lines):
            return found
    if row and settings.captions_from == "auto":
        return row
    named = _folder_of(candidate.picture, source)
    own = (one_line(named[1]),) if named and not settings.caption else ()
    return own or texts.fallback


def _folder_of(picture: Path, source: Source) -> tuple[int, str] | None:
    """(repeats, class) of the folder called like '40_maya woman' that a picture lies in."""
    top, _, below = source.inside(picture).partition(os.sep)
    return (folder_repeats(Path(top)) if below else None) or folder_repeats(source.root)


# --- pixels


def _facts_of(file: Path) -> Facts:
    return asdict(measure(file))


def _measured(
    candidates: Sequence[Candidate], index: Index, remarks: Remarks, progress: Progress | None
) -> Iterator[tuple[Candidate, list[Measured] | None]]:
    """Each candidate with the facts of its files, in their order; None for one that has a file that is not sound."""
    total = sum(len(c.files) for c in candidates)
    tell = partial(_tell, progress, total) if progress else None
    told: set[Path] = set()
    facts = gather((f for c in candidates for f in c.files), MEASURED, _facts_of, index, tell)
    for candidate in candidates:
        sound: list[Measured] = []
        for _ in candidate.files:
            file, found = next(facts)
            if not isinstance(found, InputError):
                sound.append(Measured(**found))
            elif file not in told:
                told.add(file)
                remarks.problems += Problem.of("unreadable", found, file)
        yield candidate, sound if len(sound) == len(candidate.files) else None
    next(facts, None)  # lets it tell that all is done


def _tell(progress: Progress, total: int, done: int) -> None:
    progress(done, total)


def _fits(candidate: Candidate, facts: Sequence[Measured], remarks: Remarks) -> bool:
    """A single picture before must show the same frame as the one after; so must a mask. Several are free."""
    after, fits = facts[0], True
    others = list(zip(candidate.files, facts, strict=True))[1:]
    bound = [o for o in others if o[0] == candidate.mask or len(candidate.references) == 1]
    for file, other in bound:
        if _aspect_ratio(other, after) > MAX_ASPECT_RATIO:
            fits = False
            what = (
                f"{candidate.name}: {file} is {other.width}x{other.height} and {candidate.picture} is "
                f"{after.width}x{after.height}; their shapes differ. Fix: crop one so that both show the same frame"
            )
            remarks.problems.append(Problem("shape", what, (str(candidate.picture), str(file))))
    return fits


def _aspect_ratio(a: Measured, b: Measured) -> float:
    """How many times one picture is wider for its height than the other; 1 for the same shape."""
    ratio = (a.width * b.height) / (a.height * b.width)
    return max(ratio, 1 / ratio)


def _example(
    candidate: Candidate,
    facts: Sequence[Measured],
    captions: tuple[str, ...],
    settings: DatasetConfig,
    source: Source,
    trigger: str,
    number: int,
) -> Example:
    picture, references = facts[0], facts[1 : 1 + len(candidate.references)]
    mask, mask_sha256 = candidate.mask, facts[-1].sha256
    if settings.masks == "alpha" and picture.transparent and mask is None:
        mask, mask_sha256 = candidate.picture, picture.sha256
    named = None if "repeats" in settings.model_fields_set else _folder_of(candidate.picture, source)
    captions = some_of(captions, picture.sha256)
    return Example(
        id=example_id(picture.sha256, [r.sha256 for r in references]),
        path=str(candidate.picture),
        width=picture.width,
        height=picture.height,
        caption=captions[0] if captions else "",
        repeats=named[0] if named else settings.repeats,
        dataset=number,
        sha256=picture.sha256,
        references=tuple(str(f) for f in candidate.references),
        reference_sha256s=tuple(r.sha256 for r in references),
        reference_sizes=tuple((r.width, r.height) for r in references),
        held_out=settings.type == "validation",
        type=settings.type,
        loss_weight=settings.loss_weight,
        trigger=trigger,
        captions=captions if len(captions) > 1 else (),
        mask=str(mask) if mask else None,
        mask_sha256=mask_sha256 if mask else None,
    )


# --- what is left out


def _without_mask(examples: Sequence[Example], settings: DatasetConfig) -> Iterator[str]:
    """Where some pictures have a mask and others do not."""
    without = [e for e in examples if e.mask is None]
    if settings.masks != "none" and 0 < len(without) < len(examples):
        count = f"{len(without)} of {len(examples)} pictures have no mask"
        yield f"{count} and are learned whole, such as {without[0].path}"


def _left_out(source: Source, candidates: Sequence[Candidate]) -> Iterator[str]:
    """Pictures in formats that are not read, captions without a picture, folders that are not read."""
    pictures = {str(f.with_suffix("")): f for f in source.pictures}
    yield from _shortened(
        f"{f} is left out: {READ_FORMATS} are read. Fix: convert it" for f in source.files
        if f.suffix.lower() in OTHER_PICTURES
    )  # fmt: skip
    claimed = {*pictures, *(base for c in candidates for base in c.bases)}
    texts = CAPTION_SUFFIXES[:2]  # a .json may be anything
    lonely = [f for base, f in source.sidecars.items() if base not in claimed and f.suffix.lower() in texts]
    yield from _shortened(_lonely_caption(f, source, pictures) for f in lonely)
    if source.skipped:
        names = ", ".join(f.name for f in source.skipped[:5]) + (" …" if len(source.skipped) > 5 else "")
        yield f"sub-folders of {source.root} are not read: {names}. Fix: set `subfolders: true` to read them"
    repeated = {p for f in source.pictures if (p := _folder_of(f, source))}
    for repeats, name in sorted(repeated)[:MOST_NOTES]:
        yield f"folder {repeats}_{name}: its name says {repeats} repeats; `repeats:` in the settings comes before it"


def _lonely_caption(file: Path, source: Source, pictures: dict[str, Path]) -> str:
    near = [p.name for base, p in pictures.items() if p.parent == file.parent and base not in source.sidecars]
    stems = {Path(name).stem for name in near[:1000]}
    close = difflib.get_close_matches(file.stem, sorted(stems), n=1, cutoff=0.7)
    hint = f"did you mean {close[0]}{file.suffix}?" if close else "give it the name of a picture"
    return f"{file} is left out: there is no picture of that name. Fix: {hint}"


def _shortened(lines: Iterator[str]) -> Iterator[str]:
    rest = 0
    for number, line in enumerate(lines):
        if number < MOST_NOTES:
            yield line
        else:
            rest += 1
    if rest:
        yield f"… and {rest} more files like the last"
