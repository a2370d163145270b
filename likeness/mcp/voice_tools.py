"""Tools for voices: recordings in and checked, speakers cloned, text spoken, made speech told from other speech."""

import base64
import binascii
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from anyio import to_thread
from mcp.server.mcpserver import Context
from mcp_types import CallToolResult
from pydantic import Field

from likeness.config.voice import ENGINES
from likeness.errors import InputError
from likeness.mcp.dataset_tools import File
from likeness.mcp.sounds import sound_seen, with_sounds
from likeness.mcp.voice_shapes import (
    Cloned,
    EngineSeen,
    RecordingSeen,
    RecordingsSeen,
    SoundFinding,
    Spoken,
    Verified,
    VoiceSeen,
    VoicesSeen,
)
from likeness.mcp.waiting import GOING, wait
from likeness.report.history import mapping
from likeness.service.voices import recordings_in
from likeness.store.tables import Job, Voice
from likeness.studio import imports, queue, voice_engines, voices
from likeness.studio import recordings as received
from likeness.studio.recordings import Purpose, Recording
from likeness.studio.voices import CloneRequest, SayRequest
from likeness.studio.workspace import Studio

Recordings = Annotated[list[str], Field(description="Ids of recordings, from add_recordings.")]
Consent = Annotated[
    str,
    Field(
        description="Who is heard, and that they agree to being cloned: their own words, as they gave them. Kept with "
        "the voice. Ask for it; never make it up."
    ),
]
Seconds = Annotated[float, Field(ge=0, le=600, description="To wait at most.")]
For = Annotated[Purpose, Field(description="instant: to be cloned in seconds; trained: to be trained on.")]


class VoiceTools:
    """`local`: whoever calls sits at this machine, and may name its files."""

    def __init__(self, studio: Studio, local: bool):
        self.studio, self.local = studio, local

    async def add_recordings(
        self,
        ctx: Context,
        paths: Annotated[
            list[str],
            Field(description="Sound files on the server's machine, or folders of them, with NAME.txt beside each."),
        ] = [],  # noqa: B006
        urls: Annotated[list[str], Field(description="http(s) addresses of sound files.")] = [],  # noqa: B006
        files: Annotated[list[File], Field(description="Small sound files, and NAME.txt, in the call itself.")] = [],  # noqa: B006
        purpose: For = "instant",
        seconds: Seconds = 120,
    ) -> RecordingsSeen:
        """Bring recordings of one person in, and hear what is wrong with them: noise, clipping, other voices, music.

        To clone: 10 to 20 s of usual speech near the microphone. To train: minutes, in recordings of 1 to 30 s with
        what is said in each. WAV, FLAC, Ogg or MP3. Then clone_voice or plan_voice_training.
        """
        if paths and not self.local:
            raise InputError("paths: are for callers at this machine. Fix: give URLs or files, or upload over REST")
        found, refused = await to_thread.run_sync(self._bring, paths, urls, files)
        if not found:
            return RecordingsSeen(recordings=[], findings=[], refused=refused, job=None)
        return await self._checked(ctx, found, refused, purpose, seconds)

    async def check_recordings(
        self,
        ctx: Context,
        recordings: Recordings,
        purpose: For = "instant",
        mend: Annotated[bool, Field(description="Make mended copies: trimmed, denoised, at an even loudness.")] = False,
        seconds: Seconds = 120,
    ) -> RecordingsSeen:
        """Hear again what is wrong with recordings, and mend what can be mended. A mended copy has an id of its own."""
        found = [(one, "") for one in await to_thread.run_sync(received.get_all, self.studio, recordings)]
        seen = await self._checked(ctx, found, [], purpose, seconds)
        if mend:
            for row in seen.recordings:
                if any(f.mend for f in row.findings):
                    job = await to_thread.run_sync(received.mend, self.studio, row.id, purpose)
                    await wait(self.studio, job.id, seconds, ctx.report_progress)
                    self._put_mended(row, queue.get(self.studio, job.id), seen)
        return seen

    async def clone_voice(
        self,
        ctx: Context,
        recordings: Recordings,
        name: Annotated[str, Field(description="For people, such as 'Ada'.")],
        consent: Consent,
        engine: Annotated[
            Literal["espeak", "pocket"],
            Field(description="espeak needs nothing and sounds like a synthesiser; pocket sounds natural, needs base."),
        ] = "espeak",
        language: Annotated[str, Field(description="That it speaks, for espeak: a code such as en-us, de.")] = "en-us",
        base: Annotated[str | None, Field(description="Weights of pocket, such as eustlb/pocket-tts.")] = None,
        description: str = "",
        tags: Annotated[list[str], Field(description="To find it by.")] = [],  # noqa: B006
        seconds: Seconds = 180,
    ) -> Cloned:
        """Make a voice from a short recording, in seconds. Clone only whom the user may: it needs consent."""
        request = CloneRequest(
            recordings=tuple(recordings), name=name, consent=consent, engine=engine, language=language, base=base,
            description=description, tags=tuple(tags),
        )  # fmt: skip
        job = await to_thread.run_sync(voices.clone, self.studio, request)
        await wait(self.studio, job.id, seconds, ctx.report_progress)
        return await to_thread.run_sync(self._cloned, job.id, engine)

    async def say(
        self,
        ctx: Context,
        voice: Annotated[str, Field(description="Id or name of a voice, from list_voices.")] = "",
        text: str = "",
        speed: Annotated[float, Field(ge=0.5, le=2, description="1 is the speaker's own pace.")] = 1.0,
        strength: Annotated[
            float, Field(ge=0, le=1.5, description="Of espeak voices: 0 is the synthesiser's timbre, 1 the speaker's.")
        ] = 1.0,
        seed: Annotated[int, Field(ge=0)] = 0,
        format: Annotated[Literal["mp3", "wav", "ogg", "flac"], Field(description="Of the sound file.")] = "mp3",
        seconds: Seconds = 180,
        job: Annotated[str | None, Field(description="Hear an earlier one instead, with nothing else.")] = None,
    ) -> Annotated[CallToolResult, Spoken]:
        """Say a text with a voice, and get the sound. It carries a mark that nobody hears, and says in its file that it
        is synthetic."""
        if job is None:
            request = SayRequest(voice, text, speed, strength, seed, format)
            job = (await to_thread.run_sync(voices.say, self.studio, request)).id
        await wait(self.studio, job, seconds, ctx.report_progress)
        return await to_thread.run_sync(self._spoken, job)

    def list_voices(
        self,
        search: Annotated[str, Field(description="Words that name, description, language or tags must have.")] = "",
        limit: Annotated[int, Field(ge=1, le=200)] = 50,
    ) -> VoicesSeen:
        """The voices there are, each with its consent, and the engines that new ones can be made with."""
        found, total = voices.listed(self.studio, search, limit=limit)
        return VoicesSeen(
            voices=[self._voice(voice) for voice in found],
            total=total,
            engines=[EngineSeen.model_validate(engine) for engine in voice_engines.engines()],
        )

    async def verify_speech(
        self,
        ctx: Context,
        recording: Annotated[str, Field(description="Id of a recording, from add_recordings.")],
        seconds: Seconds = 120,
    ) -> Verified:
        """Tell whether a sound is speech that Likeness made: by the mark in it, and by what the file says."""
        job = await to_thread.run_sync(voices.verify, self.studio, recording)
        await wait(self.studio, job.id, seconds, ctx.report_progress)
        return await to_thread.run_sync(self._verified, job.id, recording)

    # recordings

    def _bring(
        self, paths: list[str], urls: list[str], files: list[File]
    ) -> tuple[list[tuple[Recording, str]], list[str]]:
        """Recordings with what is said in them, and what was refused."""
        found: list[tuple[Recording, str]] = []
        refused: list[str] = []

        def take(name: str, bring: Callable[[], tuple[Recording, str]]) -> None:
            try:
                found.append(bring())
            except InputError as e:
                refused.extend(f"{name}: {problem}" for problem in e.problems)

        listed: list[Path] = []
        for text in paths:
            try:
                listed += recordings_in(Path(text).expanduser())
            except InputError as e:
                refused += e.problems
        if (count := len(listed) + len(urls) + len(files)) > received.MOST_AT_ONCE or len(urls) > imports.MOST_URLS:
            raise InputError(
                f"paths: {count} files are too many. Fix: at most {received.MOST_AT_ONCE} at a time, of them "
                f"{imports.MOST_URLS} by URL"
            )
        for path in listed:
            take(path.name, lambda path=path: (self._copy(path, path.name), _text_beside(path)))
        for url in urls:
            take(url[:200], lambda url=url: (imports.into_recordings(self.studio, url), ""))
        texts = {Path(f.name).stem: f for f in files if f.name.lower().endswith(".txt")}
        for file in files:
            if not file.name.lower().endswith(".txt"):
                take(file.name, lambda file=file: self._sent(file, texts.pop(Path(file.name).stem, None)))
        refused += [f"{text.name}: no recording of that name came with it" for text in texts.values()]
        return found, refused

    def _copy(self, path: Path, name: str) -> Recording:
        return received.receive_copy(self.studio, path, name)

    def _sent(self, file: File, text: File | None) -> tuple[Recording, str]:
        self.studio.uploads.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.studio.uploads, prefix="mcp-") as place:
            path = Path(place) / "file"
            path.write_bytes(_decoded(file))
            said = _decoded(text).decode("utf-8-sig", "replace") if text else ""
            return self._copy(path, file.name), " ".join(said.split())

    async def _checked(
        self, ctx: Context, found: list[tuple[Recording, str]], refused: list[str], purpose: Purpose, seconds: float
    ) -> RecordingsSeen:
        ids = [one.id for one, _ in found]
        job = await to_thread.run_sync(received.check, self.studio, ids, purpose)
        seen = await wait(self.studio, job.id, seconds, ctx.report_progress)
        result = mapping(queue.get(self.studio, job.id).result)
        rows = {str(row["recording"]): mapping(row) for row in result.get("recordings") or []}
        if seen.state == "failed":
            refused = [*refused, f"the check failed: {seen.error}"]
        return RecordingsSeen(
            recordings=[_recording(one, text, rows.get(one.id, {})) for one, text in found],
            findings=_findings(result),
            refused=refused,
            job=job.id if seen.state in GOING else None,
        )

    def _put_mended(self, row: RecordingSeen, job: Job, seen: RecordingsSeen) -> None:
        result = mapping(job.result)
        if job.state != "finished":
            seen.refused.append(f"{row.name}: is not mended ({job.error or job.state})")
        elif (new := result.get("recording")) and new != row.id:
            row.mended, row.findings = str(new), _findings(result)

    # voices

    def _voice(self, voice: Voice) -> VoiceSeen:
        try:
            consent = voices.record(self.studio, voice).consent.statement
        except InputError:  # somebody took its files away
            consent = ""
        told = {name: getattr(voice, name) for name in VoiceSeen.model_fields if name != "consent"}
        return VoiceSeen.model_validate({**told, "consent": consent})

    def _cloned(self, job_id: str, engine: str) -> Cloned:
        job = queue.get(self.studio, job_id)
        voice_id = mapping(job.result).get("voice_id")
        record = voices.record(self.studio, voices.get(self.studio, str(voice_id))) if voice_id else None
        return Cloned(
            job=job.id, state=job.state, voice=voice_id, sounds=ENGINES[engine].sounds, error=job.error,
            notes=record.notes if record else [], figures=record.figures if record else {},
        )  # fmt: skip

    def _spoken(self, job_id: str) -> CallToolResult:
        found = voices.speech(self.studio, job_id)
        result, sound = mapping(found.job.result), None
        if found.path is not None:
            address = f"/api/v1/speech/{found.job.id}/file"
            sound = sound_seen(found.text[:200], found.path, address, local=self.local)
        spoken = Spoken(
            job=found.job.id, state=found.job.state, text=found.text, seconds=result.get("seconds"),
            watermark=result.get("watermark"), sound=sound, notes=result.get("notes") or [], error=found.job.error,
        )  # fmt: skip
        return with_sounds(spoken, [(found.text[:200], found.path)] if found.path else [])

    def _verified(self, job_id: str, recording: str) -> Verified:
        job, one = queue.get(self.studio, job_id), received.get(self.studio, recording)
        result = mapping(job.result)
        return Verified(
            recording=one.id, name=one.name, state=job.state, made=result.get("made"), job=job.id, error=job.error,
            watermark=mapping(result.get("watermark")), provenance=mapping(result.get("provenance")),
        )  # fmt: skip


def _recording(one: Recording, text: str, row: dict[str, Any]) -> RecordingSeen:
    seconds = mapping(row.get("figures")).get("seconds", one.seconds)
    return RecordingSeen(id=one.id, name=one.name, seconds=seconds, text=text, findings=_findings(row))


def _findings(row: dict[str, Any]) -> list[SoundFinding]:
    return [SoundFinding.model_validate(found) for found in row.get("findings") or []]


def _text_beside(path: Path) -> str:
    try:
        return " ".join(path.with_suffix(".txt").read_text("utf-8-sig").split())
    except (OSError, UnicodeDecodeError):
        return ""


def _decoded(file: File) -> bytes:
    try:
        return base64.b64decode(file.base64, validate=True)
    except (binascii.Error, ValueError) as e:
        raise InputError("is no base64") from e
