"""A client of the studio's REST interface. Needs httpx and pydantic alone, and may be copied into another program.

    with Client("http://127.0.0.1:8188") as studio:
        maya = studio.create_dataset("Maya", trigger="maya_char", base="starter")
        studio.upload_folder(maya.id, Path("photos/maya"))
        plan = studio.plan({"name": "maya", "base": "starter", "trigger": "maya_char",
                            "data": {"datasets": [{"path": f"dataset:{maya.id}"}]}})
        studio.start(plan)
        for event in studio.follow("maya"):
            print(event.kind, event.data)
        studio.download_epoch("maya", 7, Path("maya.safetensors"))

Requests that were cut off are sent again, with a key by which the studio knows them: nothing is done twice.
"""

import json
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ConfigDict

ADDRESS = "http://127.0.0.1:8188"
KEY = "LIKENESS_API_KEY"  # environment variable that is used where no key is given
WAITS = (0.2, 1.0, 3.0)  # seconds before each further try of what was cut off
PIECE_BYTES = 1 << 20
ENDED = ("finished", "failed", "canceled", "paused")
Layout = Literal["diffusers", "comfyui", "bfl", "kohya", "peft"]
Purpose = Literal["instant", "trained"]  # of recordings: to be cloned in seconds, or to be trained on


class ApiProblem(Exception):
    """The studio refused. `errors` are what is wrong, each with the field and the fix."""

    def __init__(self, status: int, title: str, errors: "list[FieldProblem]"):
        super().__init__("\n".join(str(error) for error in errors) or title)
        self.status, self.title, self.errors = status, title, errors

    @property
    def fields(self) -> list[str]:
        return [error.field for error in self.errors if error.field]


class _Told(BaseModel):
    """What the studio tells; what this client does not know yet is kept beside it."""

    model_config = ConfigDict(extra="allow")


class FieldProblem(_Told):
    field: str = ""
    message: str = ""
    fix: str = ""

    def __str__(self) -> str:
        fix = f" Fix: {self.fix}" if self.fix else ""
        return f"{self.field}: {self.message}{fix}" if self.field else f"{self.message}{fix}"


class Job(_Told):
    id: str
    verb: str
    title: str
    state: Literal["queued", "running", "paused", "finished", "failed", "canceled"]
    error: str | None = None
    result: dict[str, Any] | None = None


class Dataset(_Told):
    id: str
    name: str
    kind: str
    trigger: str
    base: str
    pictures: int


class Picture(_Told):
    """A picture of a dataset."""

    name: str
    caption: str
    author: str
    width: int
    height: int
    sources: list[str] = []


class Arrived(_Told):
    """What came of files: names in the dataset, and why others were refused."""

    pictures: list[str] = []
    texts: list[str] = []
    refused: list[str] = []
    notes: list[str] = []
    pairs: int = 0


class Finding(_Told):
    check: str
    severity: Literal["error", "warning", "advice"]
    images: list[str]
    message: str
    fix: str
    fixes: list[str] = []


class Check(_Told):
    findings: list[Finding]
    count: int
    trigger: str

    @property
    def errors(self) -> list[Finding]:
        return [f for f in self.findings if f.severity == "error"]


class Plan(_Told):
    """A run that could be started. `config` and `digest` start exactly this."""

    digest: str
    name: str
    name_taken: bool
    config: dict[str, Any]
    yaml: str
    plan: dict[str, Any]
    cost: dict[str, Any]
    findings: list[Finding]
    suggestions: list[dict[str, Any]]


class Run(_Told):
    name: str
    state: Literal["queued", "running", "paused", "finished", "failed", "canceled", "stopped"]
    base: str
    step: int
    steps: int
    progress: float
    epochs: int
    epochs_saved: int
    chosen_epoch: int | None = None
    suggested_epoch: int | None = None
    error: str | None = None


class Sample(_Told):
    epoch: int
    prompt_index: int
    prompt: str
    seed: int
    path: str


class Epoch(_Told):
    epoch: int
    checkpoint: str | None
    samples: list[Sample]
    train_loss: float | None = None
    held_out_loss: float | None = None


class Model(_Told):
    id: str
    name: str
    base: str
    trigger: str
    strength: float
    tags: list[str]
    run: str | None = None
    epoch: int | None = None


class Drawn(_Told):
    """A generated picture."""

    id: str
    prompt: str
    settings: dict[str, Any]


class Generation(_Told):
    job: Job
    pictures: list[Drawn]
    total: int
    warnings: list[str]


class Recording(_Told):
    """A sound to make a voice of. `checked`: purpose, figures and findings of the last check."""

    id: str
    name: str
    seconds: float | None = None
    checked: dict[str, Any] = {}


class Voice(_Told):
    id: str
    name: str
    engine: str
    language: str
    origin: str
    tags: list[str]
    run: str | None = None
    epoch: int | None = None


class Speech(_Told):
    """A text that was given to a voice; `ready` when its sound can be fetched."""

    job: Job
    voice_id: str
    text: str
    format: str
    ready: bool


class VoicePlan(_Told):
    """The training of a voice that could be started. `config` and `digest` start exactly this."""

    digest: str
    name: str
    name_taken: bool
    config: dict[str, Any]
    recordings: int
    held_out: int
    epochs: int
    steps: int
    findings: list[dict[str, Any]]
    notes: list[str]


class VoiceEpoch(_Told):
    """Epoch 0 is the untrained base. `sounds`: test sentences by their number, each with its figures."""

    epoch: int
    finished: bool
    sounds: list[dict[str, Any]]
    figures: dict[str, float]


class VoiceRun(_Told):
    """The training of a voice; `run` is what it has in common with others, `sentence` what its figures say."""

    run: dict[str, Any]
    sentences: list[str]
    epochs: list[VoiceEpoch]
    figures: list[dict[str, str]]
    sentence: str
    suggested: int | None = None
    chosen: int | None = None

    @property
    def summary(self) -> Run:
        return Run.model_validate(self.run["summary"])


@dataclass(frozen=True)
class Event:
    """Of a run; `id` is where to go on from."""

    id: str
    kind: str
    data: dict[str, Any]


T = TypeVar("T", bound=_Told)


class Client:
    """`key`: an API key, where the studio wants one; else that of the environment variable LIKENESS_API_KEY.

    All methods raise ApiProblem for what the studio refuses, and httpx.TransportError where it cannot be reached.
    `http`: a client to use in place of an own one.
    """

    def __init__(
        self, address: str = ADDRESS, key: str | None = None, *, timeout: float = 60.0, http: httpx.Client | None = None
    ):
        key = os.environ.get(KEY) if key is None else key
        self._http = http or httpx.Client(base_url=address, timeout=timeout)
        if key:
            self._http.headers["X-API-Key"] = key

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # --- machine and queue

    def machine(self) -> dict[str, Any]:
        return self._get("/machine")

    def bases(self) -> list[dict[str, Any]]:
        return self._get("/bases")["bases"]

    def jobs(self, **query: Any) -> list[Job]:
        return _all(Job, self._get("/jobs", **query)["jobs"])

    def job(self, job_id: str) -> Job:
        return Job.model_validate(self._get(f"/jobs/{_part(job_id)}"))

    def wait(self, job: Job | str, seconds: float = 3600.0, *, poll: float = 0.5) -> Job:
        """Until the job goes no further. Raises TimeoutError."""
        job_id = job if isinstance(job, str) else job.id
        end = time.monotonic() + seconds
        while (found := self.job(job_id)).state not in ENDED:
            if time.monotonic() > end:
                raise TimeoutError(f"{found.title} is {found.state} still after {seconds:.0f} seconds")
            time.sleep(poll)
        return found

    # --- datasets

    def datasets(self, search: str = "", limit: int = 100) -> list[Dataset]:
        return _all(Dataset, self._get("/datasets", search=search, limit=limit)["datasets"])

    def create_dataset(
        self, name: str, *, kind: str = "character", trigger: str = "", base: str = "", description: str = ""
    ) -> Dataset:
        body = {"name": name, "kind": kind, "trigger": trigger, "base": base, "description": description}
        return Dataset.model_validate(self._send("POST", "/datasets", body))

    def dataset(self, dataset: str) -> Dataset:
        """By id or name."""
        return Dataset.model_validate(self._get(f"/datasets/{_part(dataset)}"))

    def upload(self, dataset: str, file: Path, name: str = "") -> Arrived:
        """Send a picture, a caption (.txt) or an archive, in pieces if it is cut off."""
        address = f"/datasets/{_part(dataset)}/files/{quote(name or file.name)}"
        return Arrived.model_validate(self._upload(address, file))

    def upload_folder(self, dataset: str, folder: Path) -> Arrived:
        """All files of a folder, pictures first; what is refused is told, and the others go in."""
        whole = Arrived()
        files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
        for file in sorted(files, key=lambda p: p.suffix.lower() == ".txt"):
            name = f"{folder.name}/{file.relative_to(folder).as_posix()}"
            try:
                came = self.upload(dataset, file, name)
            except ApiProblem as e:
                whole.refused.append(f"{name}: {e}")
                continue
            for field in ("pictures", "texts", "refused", "notes"):
                getattr(whole, field).extend(getattr(came, field))
            whole.pairs += came.pairs
        return whole

    def import_urls(self, dataset: str, urls: Sequence[str]) -> Arrived:
        """Have the studio fetch files."""
        return Arrived.model_validate(self._send("POST", f"/datasets/{_part(dataset)}/imports", {"urls": list(urls)}))

    def pictures(self, dataset: str, limit: int = 10_000) -> list[Picture]:
        return _all(Picture, self._get(f"/datasets/{_part(dataset)}/images", limit=limit)["images"])

    def set_caption(self, dataset: str, picture: str, caption: str) -> Picture:
        address = f"/datasets/{_part(dataset)}/images/{quote(picture)}"
        return Picture.model_validate(self._send("PATCH", address, {"caption": caption}))

    def replace_in_captions(self, dataset: str, find: str, replace: str) -> list[str]:
        """Names of the pictures whose captions changed."""
        body = {"find": find, "replace": replace}
        return self._send("POST", f"/datasets/{_part(dataset)}/captions/replace", body)["changed"]

    def write_captions(self, dataset: str, *, overwrite: str = "none", **caption: Any) -> Job:
        """Have a machine write them; settings such as engine='vlm', model='owner/name'."""
        body = {"caption": caption, "overwrite": overwrite}
        return Job.model_validate(self._send("POST", f"/datasets/{_part(dataset)}/captions", body))

    def check(self, dataset: str, base: str = "") -> Check:
        return Check.model_validate(self._get(f"/datasets/{_part(dataset)}/check", base=base))

    def fix(self, dataset: str, fix: str, images: Sequence[str] | None = None) -> Job | None:
        """Do what a finding offers; the job that does it, if it takes one."""
        body = {"fix": fix} | ({} if images is None else {"images": list(images)})
        told = self._send("POST", f"/datasets/{_part(dataset)}/fixes", body)["job"]
        return Job.model_validate(told) if told else None

    def suggest_prompts(self, dataset: str) -> list[str]:
        return [idea["prompt"] for idea in self._get(f"/datasets/{_part(dataset)}/prompts")["prompts"]]

    # --- runs

    def plan(self, config: dict[str, Any]) -> Plan:
        """Check settings, as a YAML file holds them; 'dataset:NAME' stands for a dataset of the studio."""
        return Plan.model_validate(self._send("POST", "/runs/plan", {"config": config}))

    def start(self, plan: Plan, *, note: str = "", mock: bool = False) -> Job:
        """Start exactly what was planned. `mock`: go through all states in seconds, and train nothing."""
        body = {"config": plan.config, "digest": plan.digest, "note": note, "mock": mock}
        return Job.model_validate(self._send("POST", "/runs", body)["job"])

    def runs(self) -> list[Run]:
        return _all(Run, self._get("/runs", limit=1000)["runs"])

    def run(self, name: str) -> Run:
        return Run.model_validate(self._get(f"/runs/{_part(name)}")["summary"])

    def follow(self, name: str, after: str = "0") -> Iterator[Event]:
        """Events as they come, until the run ends or pauses. A connection that breaks is taken up again where it was;
        with the `id` of an event one can go on from it later."""
        tries = 0
        while True:
            try:
                for event in self._events(name, after):
                    tries = 0
                    if event.kind == "close":
                        return
                    after = event.id or after
                    yield event
            except httpx.TransportError:
                if tries >= len(WAITS):
                    raise
            time.sleep(WAITS[min(tries, len(WAITS) - 1)])
            tries += 1

    def stop(self, name: str, *, pause: bool = False) -> Job:
        body = {"become": "paused" if pause else "canceled"}
        return Job.model_validate(self._send("POST", f"/runs/{_part(name)}/stop", body))

    def resume(self, name: str) -> Job:
        return Job.model_validate(self._send("POST", f"/runs/{_part(name)}/resume"))

    def sample_now(self, name: str) -> None:
        self._send("POST", f"/runs/{_part(name)}/sample-now")

    def epochs(self, name: str) -> list[Epoch]:
        return _all(Epoch, self._get(f"/runs/{_part(name)}/epochs")["epochs"])

    def choose(self, name: str, epoch: int | None) -> Run:
        return Run.model_validate(self._send("PUT", f"/runs/{_part(name)}/choice", {"epoch": epoch}))

    def download_sample(self, name: str, sample: Sample, to: Path) -> Path:
        return self._download(f"/runs/{_part(name)}/pictures/{quote(sample.path)}", to)

    def download_epoch(self, name: str, epoch: int, to: Path, layout: Layout = "diffusers") -> Path:
        """The LoRA of an epoch, with the key names that another program reads."""
        return self._lora(f"/runs/{_part(name)}/epochs/{epoch}", to, None if layout == "diffusers" else layout)

    # --- the library

    def models(self, search: str = "", limit: int = 100) -> list[Model]:
        return _all(Model, self._get("/models", search=search, limit=limit)["models"])

    def publish(
        self, run: str, epoch: int, *, name: str = "", description: str = "", tags: Sequence[str] = ()
    ) -> Model:
        """Put an epoch into the library."""
        body = {"run": run, "epoch": epoch, "name": name, "description": description, "tags": list(tags)}
        return Model.model_validate(self._send("POST", "/models", body))

    def import_model(self, file: Path) -> Model:
        """A LoRA (.safetensors), or a bundle (.likeness) that another studio made."""
        return Model.model_validate(self._upload(f"/models/upload/{quote(file.name)}", file))

    def download_model(self, model_id: str, to: Path, layout: Layout | Literal["bundle"] | None = None) -> Path:
        """The file as it is, with another program's key names, or as a bundle with everything that belongs to it."""
        address = f"/models/{_part(model_id)}"
        return self._download(f"{address}/bundle", to) if layout == "bundle" else self._lora(address, to, layout)

    def generate(self, prompt: str, loras: Sequence[str | dict[str, Any]] = (), **settings: Any) -> Generation:
        """Queue pictures. `loras`: 'model:ID' or 'run:NAME/EPOCH', or {'lora': …, 'strength': …}; settings such as
        base, seed, batch, width, height, steps, guidance. Then `wait` for its job and ask for `generation`."""
        uses = [{"lora": use} if isinstance(use, str) else use for use in loras]
        body = {"prompt": prompt, "loras": uses, **settings}
        return Generation.model_validate(self._send("POST", "/generations", body))

    def generation(self, job_id: str) -> Generation:
        return Generation.model_validate(self._get(f"/generations/{_part(job_id)}"))

    def download_picture(self, picture_id: str, to: Path) -> Path:
        return self._download(f"/pictures/{_part(picture_id)}/file", to)

    def merge(self, name: str, loras: Sequence[str | dict[str, Any]], **settings: Any) -> Job:
        """Queue a merge; the job's result tells the id of the new model."""
        uses = [{"lora": use} if isinstance(use, str) else use for use in loras]
        return Job.model_validate(self._send("POST", "/merges", {"name": name, "loras": uses, **settings})["job"])

    # --- recordings

    def upload_recording(self, file: Path, name: str = "") -> Recording:
        """Send a sound, in pieces if it is cut off. WAV, FLAC, Ogg or MP3."""
        return Recording.model_validate(self._upload(f"/recordings/uploads/{quote(name or file.name, safe='')}", file))

    def recordings(self, limit: int = 50) -> list[Recording]:
        return _all(Recording, self._get("/recordings", limit=limit)["recordings"])

    def recording(self, recording_id: str) -> Recording:
        return Recording.model_validate(self._get(f"/recordings/{_part(recording_id)}"))

    def delete_recording(self, recording_id: str) -> None:
        """For good; voices that were made of it stay."""
        self._send("DELETE", f"/recordings/{_part(recording_id)}")

    def download_recording(self, recording_id: str, to: Path) -> Path:
        return self._download(f"/recordings/{_part(recording_id)}/file", to)

    def check_recordings(self, recordings: Sequence[str], purpose: Purpose = "instant") -> Job:
        """Queue a check; the job's result has findings for each, the worst first, each with its fix."""
        body = {"recordings": list(recordings), "purpose": purpose}
        return Job.model_validate(self._send("POST", "/recordings/check", body))

    def mend(self, recording_id: str, purpose: Purpose = "instant") -> Job:
        """Queue a mended copy; the job's result tells the id of the new `recording`."""
        return Job.model_validate(self._send("POST", f"/recordings/{_part(recording_id)}/mend", {"purpose": purpose}))

    def verify(self, recording_id: str) -> Job:
        """Ask whether a sound is made speech: `made` in the job's result."""
        return Job.model_validate(self._send("POST", f"/recordings/{_part(recording_id)}/verify"))

    # --- voices

    def voice_engines(self) -> dict[str, Any]:
        """What voices can speak with, and the languages of the default engine."""
        return self._get("/voice-engines")

    def clone(self, name: str, recordings: Sequence[str], consent: str, **settings: Any) -> Job:
        """Queue a voice to be made of recordings; the job's result tells its `voice_id`. `consent`: who is heard, and
        that they agree; settings such as engine, language, base, tags."""
        body = {"name": name, "recordings": list(recordings), "consent": consent, **settings}
        return Job.model_validate(self._send("POST", "/voices", body))

    def voices(self, search: str = "", limit: int = 60, **query: Any) -> list[Voice]:
        """`query`: tag, archived, binned, offset."""
        return _all(Voice, self._get("/voices", search=search, limit=limit, **query)["voices"])

    def voice(self, voice: str) -> Voice:
        """By id or name, with its consent."""
        return Voice.model_validate(self._get(f"/voices/{_part(voice)}"))

    def change_voice(self, voice: str, **changes: Any) -> Voice:
        """`changes`: name, description, tags, archived."""
        return Voice.model_validate(self._send("PATCH", f"/voices/{_part(voice)}", changes))

    def duplicate_voice(self, voice: str, name: str = "") -> Voice:
        return Voice.model_validate(self._send("POST", f"/voices/{_part(voice)}/duplicate", {"name": name}))

    def delete_voice(self, voice: str) -> Voice:
        """Into the bin; `restore_voice` takes it out, `remove_voice` for good."""
        return Voice.model_validate(self._send("DELETE", f"/voices/{_part(voice)}"))

    def restore_voice(self, voice_id: str) -> Voice:
        return Voice.model_validate(self._send("POST", f"/voices/{_part(voice_id)}/restore"))

    def remove_voice(self, voice_id: str) -> None:
        """Out of the bin for good, with all it said."""
        self._send("POST", f"/voices/{_part(voice_id)}/remove")

    def share_voice(self, voice: str, days: float = 7) -> str:
        """The address of a link by which anybody hears and fetches it, for so long."""
        return self._send("POST", f"/voices/{_part(voice)}/shares", {"days": days})["url"]

    def import_voice(self, file: Path, base: str | None = None) -> Voice:
        """A bundle (.likeness-voice) that another studio made."""
        query = f"?base={_part(base)}" if base else ""
        return Voice.model_validate(self._upload(f"/voices/imports/{_part(file.name)}{query}", file))

    def download_voice(
        self, voice: str, to: Path, what: Literal["bundle", "reference", "sample", "thumbnail"] = "bundle"
    ) -> Path:
        """Everything in one file, the recording it was made from, a sentence that it says, or its waveform drawn."""
        return self._download(f"/voices/{_part(voice)}/{what}", to)

    def say(self, voice: str, text: str, **settings: Any) -> Speech:
        """Queue a text to be spoken; settings such as speed, strength, seed, format. Then `wait` for its job."""
        return Speech.model_validate(self._send("POST", f"/voices/{_part(voice)}/say", {"text": text, **settings}))

    def speech(self, speech_id: str) -> Speech:
        """By the id of its job."""
        return Speech.model_validate(self._get(f"/speech/{_part(speech_id)}"))

    def spoken(self, voice: str, limit: int = 20, offset: int = 0) -> list[Speech]:
        """What a voice said, newest first."""
        return _all(Speech, self._get(f"/voices/{_part(voice)}/speech", limit=limit, offset=offset)["speech"])

    def download_speech(self, speech_id: str, to: Path) -> Path:
        return self._download(f"/speech/{_part(speech_id)}/file", to)

    def forget_speech(self, speech_id: str) -> None:
        self._send("DELETE", f"/speech/{_part(speech_id)}")

    # --- trained voices; `follow`, `stop`, `resume` and `choose` are those of runs

    def plan_voice(self, config: dict[str, Any]) -> VoicePlan:
        """Check the settings of a trained voice: name, base, consent, recordings (ids), texts (by id), train, …"""
        return VoicePlan.model_validate(self._send("POST", "/voice-runs/plan", {"config": config}))

    def start_voice(self, plan: VoicePlan, *, note: str = "", priority: int = 0) -> Job:
        """Start exactly what was planned."""
        body = {"config": plan.config, "digest": plan.digest, "note": note, "priority": priority}
        return Job.model_validate(self._send("POST", "/voice-runs", body)["job"])

    def voice_runs(self, *, archived: bool = False) -> list[Run]:
        return _all(Run, self._get("/voice-runs", archived=archived, limit=1000)["runs"])

    def voice_run(self, name: str) -> VoiceRun:
        return VoiceRun.model_validate(self._get(f"/voice-runs/{_part(name)}"))

    def voice_settings(self, name: str) -> dict[str, Any]:
        """Settings for a training like this one, to be planned."""
        return self._get(f"/voice-runs/{_part(name)}/settings")["config"]

    def download_sound(self, name: str, epoch: int, sentence: int, to: Path) -> Path:
        """A test sentence, from 1, as an epoch says it."""
        return self._download(f"/voice-runs/{_part(name)}/epochs/{epoch}/sounds/{sentence}", to)

    def download_speaker(self, name: str, to: Path) -> Path:
        """The speaker as recorded, to be heard beside the epochs."""
        return self._download(f"/voice-runs/{_part(name)}/reference", to)

    def keep_voice(self, name: str, epoch: int, voice_name: str = "") -> Voice:
        """Put an epoch among the voices."""
        address = f"/voice-runs/{_part(name)}/epochs/{epoch}/keep"
        return self.voice(self._send("POST", address, {"name": voice_name})["voice_id"])

    # --- how it is done

    def _get(self, path: str, **query: Any) -> Any:
        return self._ask("GET", path, params={k: v for k, v in query.items() if v is not None}).json()

    def _send(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Idempotency-Key": uuid.uuid4().hex} if method == "POST" else {}
        answer = self._ask(method, path, json=body, headers=headers)
        return answer.json() if answer.content else None

    def _ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        """Sent again where the connection breaks: what changes something bears a key, or does the same each time."""
        for wait in (*WAITS, None):
            try:
                answer = self._http.request(method, f"/api/v1{path}", **how)
            except httpx.TransportError:
                if wait is None:
                    raise
                time.sleep(wait)
                continue
            if answer.status_code == 409 and "retry-after" in answer.headers and wait is not None:
                time.sleep(max(wait, float(answer.headers["retry-after"])))  # the first try is worked on still
                continue
            return _checked(answer)
        raise AssertionError

    def _upload(self, path: str, file: Path) -> Any:
        size, offset = file.stat().st_size, 0
        for wait in (*WAITS, None):
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size - offset)}
            if offset:
                headers["Content-Range"] = f"bytes {offset}-{size - 1}/{size}"
            try:
                answer = self._http.put(f"/api/v1{path}", content=_pieces(file, offset), headers=headers)
                return _checked(answer).json()
            except httpx.TransportError:
                if wait is None:
                    raise
                time.sleep(wait)
                told = self._http.head(f"/api/v1{path}", headers={"Upload-Length": str(size)})
                offset = int(told.headers.get("upload-offset", 0)) if told.status_code == 200 else 0
        raise AssertionError

    def _lora(self, address: str, to: Path, layout: str | None) -> Path:
        if layout is not None:
            job = self._send("POST", f"{address}/layouts/{layout}")["job"]
            if job is not None and (ended := self.wait(job["id"])).state != "finished":
                raise ApiProblem(409, "Not made", [FieldProblem(field="layout", message=ended.error or ended.state)])
        return self._download(f"{address}/file", to, **({"layout": layout} if layout else {}))

    def _download(self, path: str, to: Path, **query: str) -> Path:
        """Whole, or not there."""
        partial = to.with_name(f".{to.name}.partial")
        try:
            with self._http.stream("GET", f"/api/v1{path}", params=query) as answer, partial.open("wb") as f:
                if answer.is_error:
                    answer.read()
                for piece in _checked(answer).iter_bytes(PIECE_BYTES):
                    f.write(piece)
            os.replace(partial, to)
        finally:
            partial.unlink(missing_ok=True)
        return to

    def _events(self, name: str, after: str) -> Iterator[Event]:
        headers = {"Last-Event-ID": after, "Accept": "text/event-stream"}
        with self._http.stream("GET", f"/api/v1/runs/{_part(name)}/events", headers=headers) as answer:
            if answer.is_error:
                answer.read()
            told: dict[str, str] = {}
            for line in _checked(answer).iter_lines():
                field, _, value = line.partition(":")
                if line:
                    told[field] = value.removeprefix(" ")
                elif "data" in told:
                    yield Event(told.get("id", ""), told.get("event", "message"), json.loads(told["data"]))
                    told = {}


def _checked(answer: httpx.Response) -> httpx.Response:
    """Raises ApiProblem where the answer is one."""
    if not answer.is_error:
        return answer
    try:
        body = answer.json()
        errors = _all(FieldProblem, body["errors"])
        title = str(body["title"])
    except (ValueError, KeyError, TypeError):
        errors, title = [FieldProblem(message=answer.text[:500])], answer.reason_phrase
    raise ApiProblem(answer.status_code, title, errors)


def _all(kind: type[T], rows: list[Any]) -> list[T]:
    return [kind.model_validate(row) for row in rows]


def _part(name: str) -> str:
    """One part of a path."""
    return quote(name, safe="")


def _pieces(file: Path, offset: int) -> Iterator[bytes]:
    with file.open("rb") as f:
        f.seek(offset)
        while piece := f.read(PIECE_BYTES):
            yield piece
