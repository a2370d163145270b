"""`likeness voice`: recordings checked, voices cloned and trained, text spoken, made speech told from recordings."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from likeness.cli import Json, Workspace, print_json, screen
from likeness.cli.progress import follow
from likeness.config.voice import ENGINES
from likeness.errors import InputError
from likeness.service import voice_runs, voices
from likeness.service.workers import begin

voice = App(name="voice")

Shelf = Annotated[Path, Parameter(name="--voices", help="Folder that holds the voices.")]
_COLOURS = {"error": "red", "warning": "yellow", "advice": "cyan"}


def _examples(*lines: str) -> str:
    return "Examples:\n\n" + "\n\n".join(lines)


@voice.command(
    help_epilogue=_examples(
        "likeness voice check ada.wav",
        "likeness voice check ada.wav --fix -o ada-clean.wav",
        "likeness voice check recordings/ --for trained",
    )
)
def check(
    recordings: Annotated[list[Path], Parameter(help="A recording, several, or a folder of them.")],
    /,
    *,
    for_: Annotated[
        Literal["instant", "trained"], Parameter(name="--for", help="For an instant clone, or for a trained voice.")
    ] = "instant",
    fix: Annotated[
        bool, Parameter(negative="", help="Write a mended copy: trimmed, denoised, at an even loudness, at 24 kHz.")
    ] = False,
    output: Annotated[
        Path | None, Parameter(name=["--output", "-o"], help="Default: NAME-mended.wav beside it.")
    ] = None,
    encoder: Annotated[
        Path | None, Parameter(help="Speaker encoder, to tell several speakers apart: a folder, or a d-vector file.")
    ] = None,
    json_: Json = False,
) -> int:
    """Say what is wrong with a recording before a voice is made from it.

    Length, clipping, noise, silence, loudness, sample rate, several speakers, music; for each what to do about it.
    Exit code 2 where it cannot be used as it is, else 0.
    """
    worker = begin(voices.check_order(voices.Check(tuple(recordings), for_, fix, output, encoder)))
    follow(worker, None if json_ else screen)
    result = worker.finish()
    print_json(result, json_)
    if not json_:
        show_check(screen, result)
    return 2 if any(f["severity"] == "error" for r in result["recordings"] for f in r["findings"]) else 0


def show_check(console: Console, result: dict[str, Any]) -> None:
    """Each recording's figures and findings, the mended copy, and what is to be said of all together."""
    for row in result["recordings"]:
        console.print(f"[bold]{escape(Path(row['path']).name)}[/]{_figures(row.get('figures'))}")
        _show_findings(console, row["findings"])
        if mended := row.get("mended"):
            done = ", ".join(mended["done"])
            console.print(f"[green]mended[/] ({done}): [cyan]{escape(mended['path'])}[/]{_figures(mended['figures'])}")
            _show_findings(console, mended["findings"])
    _show_findings(console, result["findings"])
    found = [f for r in result["recordings"] for f in r["findings"]]
    if not found and not result["findings"]:
        console.print("[green]Nothing was found.[/]")
    elif any(f["mend"] for f in found) and not any("mended" in r for r in result["recordings"]):
        console.print("--fix can mend some of it.")


def _figures(q: dict[str, Any] | None) -> str:
    if not q:
        return ""
    return (
        f"  [dim]{q['speech_seconds']:.1f} s of speech in {q['seconds']:.1f} s, {q['rate']} Hz, "
        f"{q['loudness']:.0f} LUFS, {q['snr']:.0f} dB over the background, pitch {q['pitch']:.0f} Hz[/]"
    )


def _show_findings(console: Console, findings: list[dict[str, Any]]) -> None:
    for f in findings:
        console.print(f"[{_COLOURS[f['severity']]}]{f['severity']}[/] [bold]{f['check']}[/]")
        console.print(Padding(escape(f["message"]), (0, 0, 0, 4), expand=False))
        console.print(Padding(f"[dim]→ {escape(f['fix'])}[/]", (0, 0, 0, 4), expand=False))


@voice.command(
    help_epilogue=_examples(
        'likeness voice clone ada.wav --name ada --consent "I am Ada Byron, the speaker, and agree to this clone"',
        'likeness voice clone ada.wav --name ada-gb --language en-gb --consent "…"',
        'likeness voice clone ada.wav --name ada --engine pocket --base eustlb/pocket-tts --consent "…"',
        'likeness voice clone ada.wav --name ada --engine script --script my_engine.py --consent "…"',
    )
)
def clone(
    recordings: Annotated[list[Path], Parameter(help="10 to 30 s of one person: one file or several.")],
    /,
    *,
    name: Annotated[str, Parameter(help="Name of the voice, and of its folder.")],
    consent: Annotated[
        str, Parameter(help="Who is heard, and that they agree to being cloned. Kept with the voice.")
    ] = "",
    engine: Annotated[
        Literal["espeak", "pocket", "script"], Parameter(help="What speaks; see `likeness voice engines`.")
    ] = "espeak",
    language: Annotated[str, Parameter(help="That is spoken, for espeak: a code such as en-us, en-gb, de.")] = "en-us",
    base: Annotated[str | None, Parameter(help="For pocket: its weights, a hub repository or a folder.")] = None,
    script: Annotated[Path | None, Parameter(help="For script: the engine.")] = None,
    device: str = "auto",
    replace: Annotated[bool, Parameter(negative="", help="Replace a voice of this name.")] = False,
    voices_: Shelf = Path("voices"),
    json_: Json = False,
) -> int:
    """Make a voice from a short recording, in seconds.

    The default engine needs no download. It sounds like a speech synthesiser that wears the speaker's pitch, pace and
    timbre, not like the person.
    """
    asked = voices.Clone(
        tuple(recordings), name, consent, voices_, engine, language, base, script, device, replace
    )  # fmt: skip
    worker = begin(voices.clone_order(asked))
    follow(worker, None if json_ else screen)
    result = worker.finish()
    print_json(result, json_)
    if not json_:
        record = result["record"]
        for note in record["notes"]:
            screen.print(f"[yellow]note[/] {escape(note)}")
        if figures := record["figures"]:
            error = figures["pitch_error_semitones"]
            screen.print(f"Speaker's pitch {figures['pitch_hz']:.0f} Hz; the clone is {error:.1f} semitones off.")
        screen.print(f"It sounds like {ENGINES[engine].sounds}.")
        screen.print(f"Voice: [cyan]{escape(result['voice'])}[/]")
        screen.print(f'Next: likeness voice say {escape(name)} "Hello" -o hello.wav')
    return 0


@voice.command(
    help_epilogue=_examples(
        'likeness voice say ada "Good morning." -o morning.wav',
        "likeness voice say ada --text-file letter.txt -o letter.mp3",
        'likeness voice say runs/ada/checkpoints/epoch-004 "Good morning." -o morning.wav',
    )
)
def say(
    name: Annotated[str, Parameter(help="A voice's name, its folder, or the run of a trained one.")],
    text: str = "",
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"], help="A .wav, .flac, .ogg or .mp3 file.")],
    text_file: Annotated[Path | None, Parameter(help="Text from a file instead.")] = None,
    seed: int = 0,
    speed: Annotated[float, Parameter(help="0.5 to 2; 1 is the speaker's own pace.")] = 1.0,
    strength: Annotated[
        float, Parameter(help="For espeak: 0 is its own timbre, 1 the speaker's, more than 1 exaggerates.")
    ] = 1.0,
    no_watermark: Annotated[bool, Parameter(negative="", help="Leave the inaudible mark out of the sound.")] = False,
    device: str = "auto",
    voices_: Shelf = Path("voices"),
    json_: Json = False,
) -> int:
    """Say a text with a voice.

    The sound carries a mark that is not heard, and the file says that it is synthetic; see `likeness voice verify`.
    """
    if text_file:
        if text:
            raise InputError("text: given twice. Fix: either in the command or as --text-file")
        text = _text_of(text_file)
    asked = voices.Say(name, text, output, voices_, seed, speed, strength, not no_watermark, device)
    worker = begin(voices.say_order(asked))
    follow(worker, None if json_ else screen)
    result = worker.finish()
    print_json(result, json_)
    if not json_:
        for note in result["notes"]:
            screen.print(f"[yellow]note[/] {escape(note)}")
        mark = "" if result["watermark"] else ", without a watermark"
        screen.print(
            f"[cyan]{escape(result['path'])}[/]  {result['seconds']:.1f} s{mark}, "
            f"{result['speed']:.1f} times as fast as it is heard"
        )
    return 0


def _text_of(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError as e:
        raise InputError(f"--text-file: {file} is not UTF-8 text. Fix: save it as UTF-8") from e
    except OSError as e:
        raise InputError(f"--text-file: {file} cannot be read ({e.strerror}). Fix: check the path") from e


@voice.command(help_epilogue=_examples("likeness voice verify morning.mp3"))
def verify(file: Path, /, *, json_: Json = False) -> int:
    """Tell whether a sound file is speech that Likeness made: by the mark in its sound, and by what the file says.

    Exit code 0 where it is, 1 where nothing says so. That says nothing of other programs' speech.
    """
    worker = begin(voices.verify_order(file))
    follow(worker, None)
    result = worker.finish()
    print_json(result, json_)
    mark, facts = result["watermark"], result["provenance"]
    if not json_:
        score = f"{mark['score']:.1f} standard deviations; {mark['threshold']:.0f} are enough"
        if mark["seconds"] < mark["least_seconds"]:
            screen.print(f"Watermark: [yellow]too short to tell[/] ({mark['seconds']:.1f} s)")
        else:
            screen.print(f"Watermark: {'[green]found[/]' if mark['marked'] else 'not found'} ({score})")
        if facts:
            told = ", ".join(f"{k} {v}" for k, v in facts.items() if k in ("voice", "engine"))
            screen.print(f"The file says: synthetic speech{f', {escape(told)}' if told else ''}")
        else:
            screen.print("The file says nothing of where it comes from.")
    return 0 if mark["marked"] or facts else 1


@voice.command(name="list", help_epilogue=_examples("likeness voice list", "likeness voice list --json"))
def list_(*, voices_: Shelf = Path("voices"), json_: Json = False) -> int:
    """List the voices of a folder."""
    found = voices.voices_in(voices_)
    print_json([{"folder": str(folder), **record.model_dump(mode="json")} for folder, record in found], json_)
    if json_:
        return 0
    if not found:
        screen.print(f"No voices in {escape(str(voices_))}. Make one: likeness voice clone RECORDING --name NAME")
        return 0
    table = Table(box=None, pad_edge=False)
    for heading in ("voice", "engine", "language", "reference", "consent"):
        table.add_column(heading)
    for _, r in found:
        table.add_row(r.name, r.engine, r.language, f"{r.reference.seconds:.0f} s", escape(r.consent.statement[:60]))
    screen.print(table)
    return 0


@voice.command
def engines(*, json_: Json = False) -> int:
    """List the engines: how each sounds, and what it needs."""
    print_json({name: asdict(about) for name, about in ENGINES.items()}, json_)
    if not json_:
        for name, about in ENGINES.items():
            screen.print(f"[bold]{name}[/]  {about.title}")
            screen.print(Padding(f"sounds like {about.sounds}\nneeds {about.needs}", (0, 0, 0, 4)))
    return 0


@voice.command(help_epilogue=_examples("likeness voice keep runs/ada --name ada"))
def keep(
    place: Annotated[Path, Parameter(help="An epoch's folder, or a run: then the epoch that was suggested.")],
    /,
    *,
    name: str,
    voices_: Shelf = Path("voices"),
    json_: Json = False,
) -> int:
    """Put an epoch of a trained voice beside the others, under a name."""
    kept = voices.keep(place, name, voices_)
    print_json({"voice": str(kept)}, json_)
    if not json_:
        screen.print(f"Voice: [cyan]{escape(str(kept))}[/]")
    return 0


@voice.command(
    help_epilogue=_examples(
        'likeness voice train recordings/ --name ada --base eustlb/pocket-tts --consent "I am Ada Byron and agree"',
        'likeness voice train recordings/ --name ada --base … --consent "…" --epochs 20 --rank 32 --batch-size 8',
        'likeness voice train recordings/ --name ada --base … --consent "…" --resume',
        'likeness voice train recordings/ --name ada --base … --consent "…" --transcriber openai/whisper-small',
    )
)
def train(
    clips: Annotated[Path, Parameter(help="Folder of recordings of one person, with a .txt beside each.")],
    /,
    *,
    name: Annotated[str, Parameter(help="Name of the run and of the voice.")],
    base: Annotated[str, Parameter(help="Pocket TTS: a hub repository or a folder.")],
    consent: Annotated[str, Parameter(help="Who is heard, and that they agree to being cloned.")] = "",
    language: Annotated[str, Parameter(help="Of the texts.")] = "en",
    epochs: int = 10,
    batch_size: int = 4,
    learning_rate: float = 1e-4,
    rank: int = 16,
    alpha: Annotated[float | None, Parameter(help="Default: twice the rank.")] = None,
    seed: int = 0,
    hold_out: Annotated[int, Parameter(help="Recordings kept out of training, to measure by.")] = 1,
    sentence: Annotated[list[str] | None, Parameter(negative="", help="Test sentence; may be repeated.")] = None,
    transcriber: Annotated[str | None, Parameter(help="Whisper checkpoint that writes missing texts.")] = None,
    encoder: Annotated[str | None, Parameter(help="Speaker encoder: measures similarity each epoch.")] = None,
    recogniser: Annotated[str | None, Parameter(help="Whisper checkpoint: measures word errors each epoch.")] = None,
    device: str = "auto",
    threads: int | None = None,
    workspace: Workspace = Path("runs"),
    resume: Annotated[bool, Parameter(negative="", help="Go on with the run from its last saved state.")] = False,
    dry_run: Annotated[bool, Parameter(negative="", help="Check everything and show the plan; train nothing.")] = False,
    json_: Json = False,
) -> int:
    """Train a voice on minutes of speech: a LoRA on Pocket TTS.

    Every epoch leaves a finished voice, its test sentences and its figures. Ctrl-C saves and stops; --resume goes on.
    """
    values: dict[str, Any] = {
        "name": name, "base": base, "consent": consent, "language": language,
        "data": {"clips": str(clips), "transcriber": transcriber, "hold_out": hold_out},
        "train": {"epochs": epochs, "batch_size": batch_size, "seed": seed},
        "optim": {"learning_rate": learning_rate},
        "lora": {"rank": rank, "alpha": float(alpha if alpha is not None else 2 * rank)},
        "sampling": {"prompts": sentence} if sentence else {},
        "measuring": {"encoder": encoder, "recogniser": recogniser},
        "hardware": {"device": device, "threads": threads},
    }  # fmt: skip
    prepared = voice_runs.prepare(voice_runs.run_config(values))
    if not json_:
        screen.print(
            f"[bold]{escape(name)}[/]: {prepared.learned} recordings, {epochs} epochs, {prepared.steps} steps "
            f"on {escape(base)}"
        )
        for note in prepared.notes:
            screen.print(f"[yellow]note[/] {escape(note)}")
    if dry_run:
        print_json({"recordings": prepared.learned, "steps": prepared.steps, "notes": prepared.notes}, json_)
        return 0
    folder = (voice_runs.resume if resume else voice_runs.start)(prepared, workspace)
    worker = voice_runs.launch(folder)
    follow(worker, None if json_ else screen)
    try:
        worker.check()
    except InputError:
        if not resume:
            voice_runs.discard(folder)
        raise
    return _show_trained(folder, json_)


def _show_trained(folder: Path, json_: bool) -> int:
    from likeness.report.voice import read_voice_run

    run = read_voice_run(folder)
    said = run.verdict
    print_json(
        {
            "run": str(folder),
            "report": str(folder / "report.html"),
            "voices": [str(folder / "checkpoints" / f"epoch-{e:03d}") for e in run.epochs],
            "verdict": said.verdict if said else None,
            "suggested": said.suggested if said else None,
            "figures": run.rows,
        },
        json_,
    )
    if not json_:
        if said:
            screen.print(f"\n[bold]{escape(said.sentence)}[/]")
        screen.print(f"Epochs side by side: [cyan]{folder / 'report.html'}[/]")
        screen.print(f'Next: likeness voice say {folder} "Hello" -o hello.wav')
    return 0
