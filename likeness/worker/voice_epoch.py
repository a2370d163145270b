"""What is made at the end of an epoch of a trained voice: a voice that can speak, test sentences, figures.

Everything that is there already is left alone, so that a run which was killed half-way through makes just the rest.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from likeness import durable, events
from likeness.config.voice import RECORD, REFERENCE, Consent, Reference, VoiceRecord
from likeness.events import read_events
from likeness.report.voice import figures
from likeness.voices import pitch
from likeness.voices.audio import Clip, read_clip, write_sound
from likeness.voices.making import write_speech
from likeness.voices.mending import normalise
from likeness.voices.training import Taught, VoiceJob, fixed_losses
from likeness.voices.verdict import judge
from likeness.voices.words import word_error_rate

RATE = 16_000  # Hz, of all measurements


class VoiceResults:
    """Call it with (epoch, step); epoch 0 is the base with the reference as its voice."""

    def __init__(self, job: VoiceJob, taught: Taught):
        self.folder, self.config, self.job, self.taught = job.folder, job.config, job, taught
        self.pocket = taught.pocket
        self.voice = self.pocket.encode(taught.reference, as_prompt=True)
        self._encoder = self._recogniser = None

    def __call__(self, epoch: int, step: int) -> Iterator[events.Event]:
        if epoch:
            yield from self._write(epoch, step)
        yield from self._speak(epoch, step)
        log = list(read_events(self.folder / "events.jsonl"))
        if not any(isinstance(e, events.ProbesMeasured) and e.epoch == epoch for e in log):
            yield events.Stage(name="measuring")
            yield self._probe(epoch, step)
        if self.config.sampling.prompts and not any(
            isinstance(e, events.EpochMeasured) and e.epoch == epoch for e in log
        ):
            yield events.Stage(name="measuring")
            yield self._measure(epoch, step)
        log = list(read_events(self.folder / "events.jsonl"))
        if epoch and not any(isinstance(e, events.VerdictGiven) and e.epoch == epoch for e in log):
            yield _verdict(log, epoch)

    def _record(self, epoch: int) -> VoiceRecord:
        config = self.config
        return VoiceRecord(
            name=config.name,
            engine="pocket",
            language=config.language,
            consent=Consent(statement=config.consent, recorded=frozen_at(self.folder)),
            reference=Reference(
                file=config.data.clips, seconds=round(self.taught.reference.seconds, 3), sha256=self.job.digest
            ),
            values={"base": config.base, "run": config.name, "epoch": epoch},
        )

    def _write(self, epoch: int, step: int) -> Iterator[events.Event]:
        """A folder that is a voice by itself, and an adapter that peft reads."""
        path = checkpoint_path(self.folder, epoch)
        if not path.exists():
            reference = self.taught.reference

            def fill(partial: Path) -> None:
                self.pocket.network.save_pretrained(partial)
                (partial / "README.md").unlink(missing_ok=True)  # peft's, which says nothing
                write_sound(partial / REFERENCE, reference.samples, reference.rate)
                durable.write_text(partial / RECORD, self._record(epoch).model_dump_json(indent=2))

            durable.write_folder(path, fill)
            adapter = path / "adapter_model.safetensors"
            yield events.CheckpointSaved(epoch=epoch, step=step, path=str(adapter.relative_to(self.folder)))

    def _speak(self, epoch: int, step: int) -> Iterator[events.Event]:
        sampling = self.config.sampling
        for number, text in enumerate(sampling.prompts, start=1):
            path = sentence_path(self.folder, epoch, number, sampling.seed)
            if path.exists():
                continue
            yield events.Stage(name="sampling", done=number - 1, total=len(sampling.prompts))
            sound = self.pocket.generate(text, self.voice, sampling.seed)
            clip = Clip(normalise(sound, self.pocket.rate) if np.any(sound) else sound, self.pocket.rate)
            write_speech(path, clip, self._record(epoch), text, mark=True)
            yield events.SampleSaved(
                epoch=epoch, step=step, prompt_index=number, prompt=text, seed=sampling.seed,
                path=str(path.relative_to(self.folder)),
            )  # fmt: skip

    def _probe(self, epoch: int, step: int) -> events.Event:
        """Losses at draws that are the same after each epoch: of what is learned from, and of what is held out."""
        seed, learned = self.config.train.seed, self.taught.learned
        train = fixed_losses(self.pocket, learned, learned, seed)
        held = fixed_losses(self.pocket, self.taught.held_out, learned, seed)
        names = [lesson.id for lesson in (*learned, *self.taught.held_out)]
        return events.ProbesMeasured(
            epoch=epoch,
            step=step,
            train_loss=float(np.mean(train)),
            held_out_loss=float(np.mean(held)) if held else None,
            per_image=list(zip(names, [*train, *held], strict=True)),
        )

    def _measure(self, epoch: int, step: int) -> events.Event:
        measuring, sampling = self.config.measuring, self.config.sampling
        rows: dict[str, dict[str, float]] = {}
        pairs: list[tuple[str, str]] = []
        for number, text in enumerate(sampling.prompts, start=1):
            path = sentence_path(self.folder, epoch, number, sampling.seed)
            x = read_clip(path).at(RATE)
            row = rows[path.stem] = {"seconds": round(len(x) / RATE, 3), **self._pitch_error(x)}
            if measuring.encoder:
                row["similarity"] = self._similarity(x)
            if measuring.recogniser:
                pairs.append((text, self._heard(x)))
                row["wer"] = word_error_rate(pairs[-1:])
        whole = {
            name: float(np.mean([row[name] for row in rows.values() if name in row]))
            for name in dict.fromkeys(name for row in rows.values() for name in row)
        }
        if pairs:
            whole["wer"] = word_error_rate(pairs)
        return events.EpochMeasured(epoch=epoch, step=step, encoder=measuring.encoder or "", pictures=rows, whole=whole)

    def _pitch_error(self, x: np.ndarray) -> dict[str, float]:
        """Semitones between the mean pitch and the speaker's; nothing where one has none."""
        own, theirs = (pitch.log_pitch(pitch.track(y)) for y in (x, self.taught.reference.at(RATE)))
        if min(len(own), len(theirs)) < 20:
            return {}
        return {"pitch_error": abs(pitch.semitones(pitch.mean_and_range(own)[0] - pitch.mean_and_range(theirs)[0]))}

    def _similarity(self, x: np.ndarray) -> float:
        from likeness.voices.encoders import open_encoder, similarity

        assert self.config.measuring.encoder is not None
        if self._encoder is None:
            encode = open_encoder(Path(self.config.measuring.encoder), str(self.job.device))
            self._encoder = encode, encode(self.taught.reference.at(RATE))
        encode, speaker = self._encoder
        return similarity(encode(x), speaker)

    def _heard(self, x: np.ndarray) -> str:
        from likeness.voices.transcribing import open_transcriber

        assert self.config.measuring.recogniser is not None
        if self._recogniser is None:
            place, language = self.config.measuring.recogniser, self.config.language
            self._recogniser = open_transcriber(place, self.job.device, language, "measuring.recogniser")
        return self._recogniser(x)


def _verdict(log: list[events.Event], epoch: int) -> events.Event:
    rows = figures(log)
    said = judge(rows)
    best = [said.suggested] * 2 if said.suggested is not None else []
    return events.VerdictGiven(
        epoch=epoch,
        verdict=said.verdict,
        sentence=said.sentence,
        suggested=said.suggested,
        sweet_spot=best,
        overfit_from=said.overfit_from,
        flags=[],
        reasons=[],
        advice=[],
        rows=[{"epoch": e, **{name: [value, None] for name, value in row.items()}} for e, row in rows.items()],
    )


def frozen_at(folder: Path) -> str:
    """When the run was frozen, as its run.json says."""
    frozen: Mapping[str, Any] = json.loads((folder / "run.json").read_text())
    return str(frozen["consent_recorded"])


def checkpoint_path(folder: Path, epoch: int) -> Path:
    return folder / "checkpoints" / f"epoch-{epoch:03d}"


def sentence_path(folder: Path, epoch: int, number: int, seed: int) -> Path:
    return folder / "samples" / f"epoch-{epoch:03d}" / f"prompt-{number}-seed-{seed}.wav"
