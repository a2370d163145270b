"""A workspace with one of everything, so that requests find what they ask for."""

import json
from pathlib import Path

from likeness.errors import LikenessError
from likeness.studio import datasets, generations, keys, models, queue, recordings, said, shares, voices
from likeness.studio.generations import GenerationRequest
from likeness.studio.voices import SayRequest
from likeness.studio.workspace import Studio
from tests.studio.datasets_at_hand import put
from tests.studio.voice_runs_at_hand import record, tone, write_voice_run
from tests.studio.voices_at_hand import asked, end
from tests.studio.voices_at_hand import put as put_voice
from tests.tiny_lora import write_picture, write_run

RUN, DATASET, VOICE_RUN = "mika", "squares", "ada"


def furnish(studio: Studio, folder: Path) -> dict[str, str]:
    """Make what is not there, or not any more; values for the names in paths."""
    if not (studio.workspace / RUN / "run.json").is_file():
        write_run(studio.workspace)
    if not (studio.workspace / VOICE_RUN / "run.json").is_file():
        write_voice_run(studio.workspace, VOICE_RUN)
    return {
        **_dataset(studio, folder),
        **_model(studio),
        **_generation(studio),
        **_voice(studio),
        "run": RUN, "voice_run": VOICE_RUN, "prompt": "1",
        "key_id": keys.create(studio, f"key {len(keys.listed(studio))}")[0].id,
        "epoch": "2", "number": "1", "index": "1", "layout": "kohya", "title": "view",
        "path": "samples/epoch-002/prompt-1-seed-42.png",
    }  # fmt: skip


def _dataset(studio: Studio, folder: Path) -> dict[str, str]:
    try:
        datasets.get(studio, DATASET)
    except LikenessError:
        row = datasets.create(studio, DATASET, trigger="sqr", base="starter")
        for number in range(3):
            put(studio, row.id, folder, f"{number}.png", size=(64, 64 + number))
            datasets.add_text(studio, row.id, b"sqr, a square", f"{number}.txt")
        datasets.freeze(studio, row.id)
    pictures, _ = datasets.pictures(studio, DATASET)
    return {"dataset": DATASET, "picture": pictures[0].name if pictures else "0.png"}


def _model(studio: Studio) -> dict[str, str]:
    try:
        model = models.publish(studio, RUN, 2)
    except LikenessError:  # it is there
        with studio.database.reading() as session:
            model = session.query(models.Model).filter_by(deleted=None).first()
        assert model is not None
    link = shares.share(studio, model.id, 1).share
    example = model.examples[0] if model.examples else {"id": "x", "file": "x.png"}
    return {"model_id": model.id, "example_id": str(example["id"]), "file_name": str(example["file"]).split("/")[-1],
            "share_id": link.id}  # fmt: skip


def _generation(studio: Studio) -> dict[str, str]:
    job = generations.generate(studio, GenerationRequest("a square", base="starter", seed=1)).job
    for number, output in enumerate(json.loads((Path(job.folder) / "job.json").read_text())["outputs"]):
        write_picture(Path(output), (number, 9, 9))
    queue.change(studio, job.id, state="finished", result=generations.take(studio, job, {}))
    return {"job_id": job.id, "picture_id": f"{job.id}-001"}


def _voice(studio: Studio) -> dict[str, str]:
    found, _ = voices.listed(studio, limit=1)
    voice = found[0] if found else put_voice(studio)
    kept = recordings.recent(studio, 1) or [record(studio, "ada.wav", tone())]
    spoken, _ = voices.spoken(studio, voice.id, 1)
    if not spoken or spoken[0].path is None:
        job = voices.say(studio, SayRequest(voice.id, "Good morning."))
        Path(asked(job)["output"]).write_bytes(tone())
        end(studio, job, said.take, {"path": asked(job)["output"], "notes": []})
        spoken, _ = voices.spoken(studio, voice.id, 1)
    return {"voice_id": voice.id, "recording_id": kept[0].id, "speech_id": spoken[0].job.id}
