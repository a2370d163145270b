"""The Python client against a real server: the whole way, and connections that break."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from likeness import client as client_module
from likeness.api.app import create_app
from likeness.api.gate import Access
from likeness.client import ApiProblem, Client
from likeness.studio import datasets, keys
from likeness.studio.supervisor import Supervisor
from likeness.studio.workspace import Studio
from likeness.voices.audio import write_sound
from tests.browser.test_studio_upload import Cutter
from tests.browser.test_studio_upload import picture as noise
from tests.studio.datasets_at_hand import EXAMPLES
from tests.studio.runs_at_hand import a_machine, supervising
from tests.studio.voice_runs_at_hand import CONSENT, TEXTS, tone, write_voice_run
from tests.tiny_lora import TRIGGER, write_run
from tests.voices.recordings import speech


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    found = Studio(tmp_path / "workspace")
    yield found
    found.close()


@pytest.fixture
def address(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Of a server that wants keys."""
    a_machine(monkeypatch)
    monkeypatch.setattr(client_module, "WAITS", (0.01, 0.05, 0.1))
    app = create_app(studio, access=Access(keys=True))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        running.should_exit = True
        thread.join()


@pytest.fixture
def key(studio: Studio) -> str:
    return keys.create(studio, "client")[1]


@pytest.fixture
def client(address: str, key: str) -> Iterator[Client]:
    with Client(address, key) as found:
        yield found


@pytest.fixture
def supervised(studio: Studio) -> Iterator[Supervisor]:
    with supervising(studio) as supervisor:
        yield supervisor


@pytest.fixture
def cutter(address: str) -> Iterator[Cutter]:
    found = Cutter(int(address.rpartition(":")[2]))
    yield found
    found.close()


class Losing(httpx.HTTPTransport):
    """The answers to the first so many requests are lost on the way."""

    lost = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        if self.lost:
            type(self).lost -= 1
            answer.close()
            raise httpx.ReadError("connection reset")
        return answer


class Breaking(httpx.HTTPTransport):
    """Streams of events break off again and again, some lines in; `asked` are the places that were gone on from."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        if request.url.path.endswith("/events"):
            self.asked.append(int(request.headers["last-event-id"]))
            answer.stream = _Cut(answer.stream)  # type: ignore[arg-type]
        return answer


class _Cut(httpx.SyncByteStream):
    def __init__(self, whole: httpx.SyncByteStream):
        self._whole = whole

    def __iter__(self) -> Iterator[bytes]:
        for number, piece in enumerate(self._whole):
            if number == 6:
                yield piece[: len(piece) // 2]
                raise httpx.ReadError("connection reset")
            yield piece

    def close(self) -> None:
        self._whole.close()


def config(**more: Any) -> dict[str, Any]:
    return {
        "name": "mika", "base": "starter", "trigger": "mika_char", "data": {"datasets": [{"path": "dataset:Mika"}]},
        "train": {"epochs": 3}, "sampling": {"prompts": ["mika_char at sea"]}, **more,
    }  # fmt: skip


@pytest.mark.long
def test_the_whole_way_from_a_folder_to_a_file(client: Client, supervised: Supervisor, tmp_path: Path) -> None:
    assert client.machine()["devices"] and any(base["name"] == "starter" for base in client.bases())
    dataset = client.create_dataset("Mika", trigger="mika_char", base="starter")
    came = client.upload_folder(dataset.id, EXAMPLES / "character" / "mika")
    pictures = client.pictures("Mika")
    assert len(came.pictures) == len(pictures) == client.dataset("Mika").pictures > 5 and came.refused == []
    assert all("mika_char" in p.caption for p in pictures)

    client.set_caption(dataset.id, pictures[0].name, "a girl with a hat")
    found = client.check(dataset.id)
    assert any("add_trigger" in f.fixes for f in found.findings)
    assert client.fix(dataset.id, "add_trigger") is None
    assert "mika_char" in client.pictures(dataset.id)[0].caption
    assert client.replace_in_captions(dataset.id, "a girl with a hat", "a girl") == [pictures[0].name]
    assert client.suggest_prompts(dataset.id)

    plan = client.plan(config())
    assert plan.plan["epochs"] == 3 and not plan.name_taken and "dataset:Mika" in str(plan.config)
    job = client.start(plan, mock=True)
    kinds = [event.kind for event in client.follow("mika")]
    assert kinds[-1] == "run_finished" and kinds.count("checkpoint") == 3
    assert client.wait(job).state == "finished" and client.run("mika").state == "finished"
    epochs = client.epochs("mika")
    assert [e.epoch for e in epochs] == [0, 1, 2, 3] and epochs[3].samples[0].prompt == "mika_char at sea"
    assert client.choose("mika", 2).chosen_epoch == 2
    assert client.download_epoch("mika", 2, tmp_path / "two.safetensors").stat().st_size > 100
    assert client.download_sample("mika", epochs[3].samples[0], tmp_path / "s.png").read_bytes()[:4] == b"\x89PNG"
    assert [r.name for r in client.runs()] == ["mika"]


@pytest.mark.long
def test_a_run_is_paused_and_goes_on(client: Client, supervised: Supervisor, studio: Studio) -> None:
    client.create_dataset("Mika", trigger="mika_char")
    client.upload_folder("Mika", EXAMPLES / "character" / "mika")
    job = client.start(client.plan(config(train={"epochs": 60})), mock=True)
    events = client.follow("mika")
    seen = [next(events) for _ in range(30)]
    client.stop("mika", pause=True)
    seen += list(events)
    assert client.wait(job).state == "paused"
    client.resume("mika")
    rest = list(client.follow("mika", after=seen[-1].id))
    assert client.wait(job).state == "finished"
    steps = [e.data["step"] for e in (*seen, *rest) if e.kind == "step"]
    assert steps == sorted(set(steps))  # nothing lost, nothing twice


def test_models_are_published_converted_bundled_and_imported(
    client: Client, supervised: Supervisor, studio: Studio, tmp_path: Path
) -> None:
    write_run(studio.workspace)
    model = client.publish("mika", 2, name="Mika", tags=["girl"])
    assert client.models("girl")[0].id == model.id and model.trigger == TRIGGER
    whole = client.download_model(model.id, tmp_path / "mika.safetensors").read_bytes()
    assert whole == (studio.run_folder("mika") / "checkpoints" / "epoch-002.safetensors").read_bytes()
    bundle = client.download_model(model.id, tmp_path / "mika.likeness", "bundle")
    other = Studio(tmp_path / "elsewhere")
    with Client(http=_inside(other, tmp_path)) as elsewhere:
        assert elsewhere.import_model(bundle).name == "Mika"
    other.close()
    with pytest.raises(ApiProblem, match="is in the library already") as raised:
        client.import_model(tmp_path / "mika.safetensors")
    assert raised.value.status == 409


@pytest.mark.long
def test_a_voice_is_cloned_speaks_and_moves_to_another_studio(
    client: Client, supervised: Supervisor, tmp_path: Path
) -> None:
    engines = client.voice_engines()
    assert {e["name"] for e in engines["engines"]} == {"espeak", "pocket"} and engines["languages"]
    write_sound(tmp_path / "ada.wav", speech(12, "en-gb+f3", 60), 24_000)
    recording = client.upload_recording(tmp_path / "ada.wav")
    assert recording.seconds == pytest.approx(12, abs=0.01) and client.recording(recording.id).name == "ada.wav"
    checked = client.wait(client.check_recordings([recording.id]))
    assert checked.result and checked.result["recordings"][0]["recording"] == recording.id
    mended = client.wait(client.mend(recording.id))
    assert mended.result and mended.result["recording"] in [r.id for r in client.recordings()]
    with pytest.raises(ApiProblem) as raised:
        client.clone("Ada", [recording.id], "yes")
    assert raised.value.fields == ["consent"]

    cloned = client.wait(client.clone("Ada", [recording.id], CONSENT, tags=["Test"]))
    assert cloned.state == "finished" and cloned.result, cloned.error
    voice = client.voice("Ada")
    assert voice.id == cloned.result["voice_id"] and voice.tags == ["test"] and client.voices("ada")[0].id == voice.id
    said = client.say("Ada", "Good morning to all of you.", format="ogg")
    assert client.wait(said.job).state == "finished" and client.speech(said.job.id).ready
    sound = client.download_speech(said.job.id, tmp_path / "morning.ogg")
    assert sound.read_bytes()[:4] == b"OggS" and [s.text for s in client.spoken("Ada")] == [said.text]
    made = client.wait(client.verify(client.upload_recording(sound).id))
    assert made.result and made.result["made"] is True
    client.forget_speech(said.job.id)
    assert client.spoken(voice.id) == []

    assert client.download_voice("Ada", tmp_path / "r.wav", "reference").read_bytes()[:4] == b"RIFF"
    assert (
        client.download_recording(recording.id, tmp_path / "b.wav").read_bytes() == (tmp_path / "ada.wav").read_bytes()
    )
    bundle = client.download_voice("Ada", tmp_path / "ada.likeness-voice")
    other = Studio(tmp_path / "elsewhere")
    with Client(http=_inside(other, tmp_path)) as elsewhere:
        assert elsewhere.import_voice(bundle).name == "Ada"
    other.close()

    copy = client.duplicate_voice("Ada", "Ada again")
    assert client.change_voice(copy.id, archived=True).name == "Ada again"
    assert [v.id for v in client.voices(archived=True)] == [copy.id]
    client.delete_voice(copy.id)
    assert client.restore_voice(copy.id).id == copy.id
    client.delete_voice(copy.id)
    client.remove_voice(copy.id)
    with pytest.raises(ApiProblem):
        client.voice(copy.id)
    assert client.share_voice("Ada", 1).startswith("http")
    client.delete_recording(recording.id)
    assert recording.id not in [r.id for r in client.recordings()]


def test_a_voice_is_trained_heard_and_kept(client: Client, studio: Studio, tmp_path: Path) -> None:
    ids = []
    for number in range(len(TEXTS)):
        (tmp_path / "clip.wav").write_bytes(tone(1.0, 200.0 + 10 * number))
        ids.append(client.upload_recording(tmp_path / "clip.wav", f"{number}.wav").id)
    plan = client.plan_voice({
        "name": "eve", "base": "owner/tiny", "consent": CONSENT, "recordings": ids,
        "texts": dict(zip(ids, TEXTS, strict=True)), "train": {"epochs": 2},
    })  # fmt: skip
    assert (plan.recordings, plan.held_out, plan.epochs, plan.name_taken) == (3, 1, 2, False)
    job = client.start_voice(plan, note="mine")
    assert job.verb == "voice-train" and [r.name for r in client.voice_runs()] == ["eve"]
    assert client.stop("eve", pause=True).state == "paused" and client.resume("eve").state == "queued"
    assert client.voice_run("eve").summary.state == "queued"
    assert sorted(client.voice_settings("eve")["recordings"]) == sorted(ids)

    write_voice_run(studio.workspace)
    run = client.voice_run("ada")
    assert run.suggested == 1 and [e.finished for e in run.epochs] == [False, True, True] and run.summary.steps == 2
    assert client.choose("ada", 2).chosen_epoch == 2
    assert [e.kind for e in client.follow("ada")][-1] == "run_finished"
    sound = client.download_sound("ada", 1, 2, tmp_path / "s.wav")
    assert sound.read_bytes() == (studio.run_folder("ada") / "samples/epoch-001/prompt-2-seed-42.wav").read_bytes()
    assert client.download_speaker("ada", tmp_path / "speaker.wav").stat().st_size > 100
    kept = client.keep_voice("ada", 2, "Ada")
    assert (kept.name, kept.origin, kept.run, kept.epoch) == ("Ada", "run", "ada", 2)


def _inside(studio: Studio, tmp_path: Path) -> httpx.Client:
    """Another studio, without a network in between."""
    return httpx.Client(transport=_Sync(create_app(studio)), base_url="http://127.0.0.1:8188")


class _Sync(httpx.BaseTransport):
    def __init__(self, app: Any):
        from starlette.testclient import TestClient

        self._client = TestClient(app, base_url="http://127.0.0.1:8188")

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        found = self._client.request(
            request.method, str(request.url), content=request.read(), headers=dict(request.headers)
        )
        return httpx.Response(found.status_code, headers=dict(found.headers), content=found.content)


def test_what_is_refused_is_told_with_fields_and_fixes(client: Client, address: str) -> None:
    with pytest.raises(ApiProblem) as raised:
        client.plan({"name": "x", "base": "starter", "train": {"epochz": 1}, "data": {"datasets": []}})
    assert raised.value.status == 422 and any("epochz" in field for field in raised.value.fields)
    assert "did you mean 'epochs'?" in str(raised.value)
    with pytest.raises(ApiProblem, match="no dataset 'nobody'") as raised:
        client.dataset("nobody")
    assert raised.value.errors[0].fix == "take an id or a name from the list of datasets"
    with pytest.raises(ApiProblem) as raised, Client(address, "wrong") as stranger:
        stranger.jobs()
    assert raised.value.status == 401


def test_a_request_whose_answer_is_lost_is_sent_again_and_done_once(
    studio: Studio, address: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Client(http=httpx.Client(base_url=address, transport=Losing()), key=key) as client:
        monkeypatch.setattr(Losing, "lost", 2)
        made = client.create_dataset("Mika")
        assert Losing.lost == 0 and [d.id for d in client.datasets()] == [made.id]
        assert len(datasets.listed(studio)[0]) == 1
        monkeypatch.setattr(Losing, "lost", 9)
        with pytest.raises(httpx.TransportError):
            client.machine()


def test_an_upload_that_is_cut_goes_on_where_it_was(
    studio: Studio, cutter: Cutter, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "WAITS", (2.0,))  # the server has to notice
    file = noise(tmp_path / "large.png", 1200)
    size = file.stat().st_size
    dataset = datasets.create(studio, "Mika").id
    with Client(cutter.address, key) as client:
        cutter.cut_at = size // 2
        assert client.upload(dataset, file).pictures == ["large.png"]
    assert cutter.cuts == 1 and cutter.carried < size * 1.3
    assert datasets.path_of(studio, dataset, "large.png").read_bytes() == file.read_bytes()


@pytest.mark.long
def test_following_goes_on_when_the_connection_breaks(
    address: str, key: str, supervised: Supervisor, client: Client
) -> None:
    client.create_dataset("Mika", trigger="mika_char")
    client.upload_folder("Mika", EXAMPLES / "character" / "mika")
    client.start(client.plan(config()), mock=True)
    breaking = Breaking()
    with Client(http=httpx.Client(base_url=address, transport=breaking), key=key) as broken:
        seen = list(broken.follow("mika"))
    whole = list(client.follow("mika"))
    assert len(breaking.asked) > 3 and breaking.asked == sorted(set(breaking.asked))
    assert [e.id for e in seen] == [e.id for e in whole] and seen[-1].kind == "run_finished"


def test_it_stands_alone() -> None:
    text = Path(client_module.__file__).read_text()
    imported = [line.split()[1] for line in text.splitlines() if line.startswith(("import ", "from "))]
    assert not [name for name in imported if name.startswith("likeness")]
