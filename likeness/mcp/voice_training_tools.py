"""Tools for trained voices: planned, started, heard epoch by epoch, kept."""

from pathlib import Path
from typing import Annotated, Any

from mcp_types import CallToolResult
from pydantic import Field

from likeness.mcp.shapes import RunSeen, Started
from likeness.mcp.sounds import sound_seen, with_sounds
from likeness.mcp.training_tools import RunName
from likeness.mcp.voice_shapes import RemarkSeen, VoiceEpochSeen, VoiceKept, VoicePlanned, VoiceRunSeen
from likeness.mcp.voice_tools import Consent, Recordings
from likeness.report.history import mapping
from likeness.studio import runs, voice_runs, voices
from likeness.studio.voice_run_views import Said, VoiceRunView
from likeness.studio.workspace import Studio

Config = Annotated[dict[str, Any], Field(description="Settings as plan_voice_training gave them back.")]


class VoiceTrainingTools:
    """`local`: whoever calls sits at this machine, and may open its files."""

    def __init__(self, studio: Studio, local: bool):
        self.studio, self.local = studio, local

    def plan_voice_training(
        self,
        recordings: Recordings = [],  # noqa: B006
        texts: Annotated[
            dict[str, str],
            Field(description="What is said in each recording, by its id. Without: settings.data.transcriber."),
        ] = {},  # noqa: B006
        name: Annotated[str, Field(description="Of the run; letters, digits, '.', '_' and '-'.")] = "",
        base: Annotated[str, Field(description="Pocket TTS to train on: a hub repository.")] = "eustlb/pocket-tts",
        consent: Consent = "",
        sentences: Annotated[list[str] | None, Field(description="Test sentences, said after each epoch.")] = None,
        settings: Annotated[
            dict[str, Any],
            Field(
                description="Any other settings, in groups, such as "
                '{"train": {"epochs": 20}, "lora": {"rank": 32}, "data": {"transcriber": "openai/whisper-small"}}.'
            ),
        ] = {},  # noqa: B006
        config: Annotated[
            dict[str, Any] | None, Field(description="Whole settings instead of all others, as an earlier plan had.")
        ] = None,
    ) -> VoicePlanned:
        """Check the training of a voice and tell its length; nothing is started. It takes minutes of one person's
        speech: five are a start, thirty are better. Read findings and notes, then start_voice_training."""
        tree = config if config is not None else {
            "name": name or runs.free_name(self.studio, "voice"), "base": base, "consent": consent,
            "recordings": recordings, "texts": texts, **settings,
        }  # fmt: skip
        if config is None and sentences is not None:
            tree["sampling"] = {**mapping(tree.get("sampling")), "prompts": sentences}
        planned = voice_runs.plan(self.studio, tree)
        return VoicePlanned(
            digest=planned.digest, config=tree, name=planned.name, name_taken=planned.name_taken,
            recordings=planned.recordings, held_out=planned.held_out, epochs=planned.epochs, steps=planned.steps,
            findings=[RemarkSeen.model_validate(found) for found in planned.findings], notes=planned.notes,
        )  # fmt: skip

    def start_voice_training(
        self,
        config: Config,
        digest: Annotated[str, Field(description="Of the plan; another is refused, so nothing unplanned starts.")],
        note: Annotated[str, Field(description="For people.")] = "",
    ) -> Started:
        """Start exactly what was planned. Returns at once; then follow its run. control_training pauses, resumes or
        cancels it."""
        job = voice_runs.start(self.studio, config, digest, note=note)
        return Started(run=str(job.extra["run"]), job=job.id)

    def view_voice_run(
        self,
        run: RunName,
        epochs: Annotated[list[int] | None, Field(description="Hear these; null: suggested, first and last.")] = None,
        sentences: Annotated[list[int] | None, Field(description="Only these test sentences, from 1.")] = None,
    ) -> Annotated[CallToolResult, VoiceRunSeen]:
        """Hear a training: test sentences of its epochs, their figures, and which epoch these suggest.

        Judge: is it the speaker, is every word there, is it free of noise? Then keep_voice.
        """
        view = voice_runs.view(self.studio, run)
        heard = _worth_hearing(view) if epochs is None else set(epochs)
        sounds = [
            (f"epoch {e.epoch}, sentence {s.prompt}: {_sentence(view, s.prompt)}", self._path(run, s))
            for e in view.epochs
            for s in e.sounds
            if e.epoch in heard and (sentences is None or s.prompt in sentences)
        ]
        return with_sounds(self._run(view), sounds)

    def keep_voice(
        self,
        run: RunName,
        epoch: Annotated[int | None, Field(description="null: the one that the figures suggest.")] = None,
        name: Annotated[str, Field(description="Of the voice; the run's own where empty.")] = "",
    ) -> VoiceKept:
        """Put an epoch of a trained voice among the voices, to be used with say."""
        voice_runs.folder_of_voice(self.studio, run)
        voice = voices.keep_epoch(self.studio, run, epoch, name or run)
        return VoiceKept(voice=voice.id, name=voice.name)

    def _path(self, run: str, said: Said) -> Path:
        return voice_runs.folder_of_voice(self.studio, run) / said.path

    def _run(self, view: VoiceRunView) -> VoiceRunSeen:
        name = view.summary.name
        return VoiceRunSeen(
            summary=RunSeen.model_validate(view.summary),
            sentences=view.sentences,
            epochs=[
                VoiceEpochSeen(
                    epoch=e.epoch, finished=e.finished, figures=e.figures,
                    sounds=[
                        sound_seen(
                            f"sentence {s.prompt}", self._path(name, s),
                            f"/api/v1/voice-runs/{name}/epochs/{e.epoch}/sounds/{s.prompt}", local=self.local,
                        )
                        for s in e.sounds
                    ],
                )
                for e in view.epochs
            ],
            figures={f.key: f"{f.name}: {f.says}" for f in view.figures},
            verdict=view.sentence,
            notes=[*view.run.notes, *filter(None, [view.run.ended])],
        )  # fmt: skip


def _worth_hearing(view: VoiceRunView) -> set[int]:
    """The base, the suggested epoch and the last."""
    numbers = [e.epoch for e in view.epochs if e.sounds]
    return {*numbers[:1], *numbers[-1:], *([view.suggested] if view.suggested is not None else [])}


def _sentence(view: VoiceRunView, number: int) -> str:
    return view.sentences[number - 1] if number <= len(view.sentences) else ""
