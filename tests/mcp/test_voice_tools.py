"""Agents' tools for voices: from a recording to a spoken sentence, and from a training to a kept voice."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from mcp_types import CallToolResult

from likeness.studio import recordings, voice_runs, voices
from likeness.studio.supervisor import Supervisor
from likeness.studio.workspace import Studio
from tests.mcp.test_tools import Agent, with_agent
from tests.studio.voice_runs_at_hand import CONSENT, SENTENCES, TEXTS, settings, tone, write_voice_run


def sounds(result: CallToolResult) -> list[tuple[str, bytes]]:
    return [(c.mime_type, base64.b64decode(c.data)) for c in result.content if c.type == "audio"]


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 s of speech with room noise; leave it as it is."""
    from tests.voices.recordings import speech

    path = tmp_path_factory.mktemp("recordings") / "ada.wav"
    soundfile.write(path, speech(12, "en-gb+f3", 60), 24_000)
    return path


@pytest.mark.long
def test_from_a_recording_to_a_sentence(studio: Studio, supervised: Supervisor, spoken: Path) -> None:
    async def way(agent: Agent) -> None:
        brought = await agent("add_recordings", paths=[str(spoken)])
        recording = brought["recordings"][0]
        assert recording["seconds"] == pytest.approx(12, abs=0.1) and brought["refused"] == []
        assert not [f for f in recording["findings"] if f["severity"] == "error"]

        assert "statement of consent" in await agent.refused(
            "clone_voice", recordings=[recording["id"]], name="Ada", consent="yes"
        )
        made = await agent("clone_voice", recordings=[recording["id"]], name="Ada", consent=CONSENT, tags=["test"])
        assert made["state"] == "finished" and made["voice"] and "synthesiser" in made["sounds"]

        listed = await agent("list_voices", search="ada")
        assert [v["id"] for v in listed["voices"]] == [made["voice"]] and listed["voices"][0]["consent"] == CONSENT
        assert {e["name"] for e in listed["engines"]} == {"espeak", "pocket"}

        said = await agent.whole("say", voice="Ada", text="Good morning to all of you, dear friends.", format="wav")
        answer = said.structured_content or {}
        (kind, sound) = sounds(said)[0]
        samples, rate = soundfile.read(io.BytesIO(sound))
        assert kind == "audio/wav" and len(samples) / rate > 1 and np.abs(samples).max() > 0.05
        assert answer["watermark"] is True and answer["sound"]["address"] == f"/api/v1/speech/{answer['job']}/file"
        again = await agent.whole("say", job=answer["job"])
        assert sounds(again)[0][1] == sound

        back = await agent("add_recordings", paths=[answer["sound"]["file"]])
        verified = await agent("verify_speech", recording=back["recordings"][0]["id"])
        assert verified["made"] is True and verified["watermark"]["marked"]
        assert (await agent("verify_speech", recording=recording["id"]))["made"] is False

    with_agent(studio, way)


def test_a_recording_is_mended(studio: Studio, supervised: Supervisor, spoken: Path, tmp_path: Path) -> None:
    samples, rate = soundfile.read(spoken)
    soundfile.write(tmp_path / "quiet.wav", samples * 0.004, rate)

    async def way(agent: Agent) -> None:
        brought = await agent("add_recordings", paths=[str(tmp_path / "quiet.wav")])
        recording = brought["recordings"][0]
        assert "loudness" in {f["check"] for f in recording["findings"] if f["mend"] == "normalise"}
        mended = (await agent("check_recordings", recordings=[recording["id"]], mend=True))["recordings"][0]
        assert mended["mended"] not in (None, recording["id"])
        assert "loudness" not in {f["check"] for f in mended["findings"]}
        assert recordings.get(studio, mended["mended"]).name == "quiet-mended.wav"

    with_agent(studio, way)


def test_a_training_is_planned_started_heard_and_kept(studio: Studio) -> None:
    async def way(agent: Agent) -> None:
        values = settings(studio)
        plan = await agent(
            "plan_voice_training", recordings=values["recordings"], texts=values["texts"], name="eve",
            base="owner/tiny", consent=CONSENT, sentences=["Hello."], settings={"train": {"epochs": 3}},
        )  # fmt: skip
        assert (plan["recordings"], plan["held_out"], plan["epochs"]) == (3, 1, 3) and not plan["name_taken"]
        assert plan["config"]["sampling"] == {"prompts": ["Hello."]}
        refused = await agent.refused("start_voice_training", config=plan["config"], digest="0")
        assert "plan again" in refused
        started = await agent("start_voice_training", config=plan["config"], digest=plan["digest"])
        assert started["run"] == "eve" and (await agent("plan_voice_training", config=plan["config"]))["name_taken"]
        followed = await agent("follow", run="eve", seconds=0)
        assert followed["state"] == "queued" and followed["epochs_saved"] == 0
        assert (await agent("control_training", run="eve", action="cancel"))["state"] == "canceled"
        assert "is for pictures" in await agent.refused("control_training", run="eve", action="score")

        write_voice_run(studio.workspace, "ada", 3)
        seen = await agent.whole("view_voice_run", run="ada")
        told = seen.structured_content or {}
        assert told["summary"]["kind"] == "voice" and told["sentences"] == list(SENTENCES) and "good" in told["verdict"]
        assert [e["epoch"] for e in told["epochs"]] == [0, 1, 2, 3] and told["epochs"][1]["figures"]["train"] == 1.5
        assert len(sounds(seen)) == 6 and "pitch error" in told["figures"]["pitch_error"]  # base, suggested, last
        one = await agent.whole("view_voice_run", run="ada", epochs=[2], sentences=[1])
        assert [s for _, s in sounds(one)] == [voice_runs.sound(studio, "ada", 2, 1).read_bytes()]
        assert "is for pictures" in await agent.refused("view_run", run="ada")

        kept = await agent("keep_voice", run="ada")
        assert voices.get(studio, kept["voice"]).epoch == 1 and kept["name"] == "ada"
        listed = await agent("list_studio", what="runs")
        assert {r["name"]: r["kind"] for r in listed["runs"]} == {"eve": "voice", "ada": "voice"}

    with_agent(studio, way)


def test_recordings_come_in_the_call_with_their_texts(studio: Studio, supervised: Supervisor, tmp_path: Path) -> None:
    def file(name: str, content: bytes) -> dict[str, str]:
        return {"name": name, "base64": base64.b64encode(content).decode()}

    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / "a.wav").write_bytes(tone(1.0))
    (folder / "a.txt").write_text(TEXTS[0])

    async def way(agent: Agent) -> None:
        brought = await agent(
            "add_recordings", purpose="trained", paths=[str(folder), str(tmp_path / "none.wav")],
            files=[
                file("b.wav", tone(1.0, 330.0)), file("b.txt", f" {TEXTS[1]}\n".encode()), file("c.mov", b"video"),
                file("lonely.txt", b"x"), {"name": "d.wav", "base64": "not base64!"},
            ],
        )  # fmt: skip
        assert [(r["name"], r["text"]) for r in brought["recordings"]] == [("a.wav", TEXTS[0]), ("b.wav", TEXTS[1])]
        refused = " | ".join(brought["refused"])
        for words in ("none.wav: no such file", "c.mov", "lonely.txt: no recording", "d.wav: is no base64"):
            assert words in refused
        assert brought["findings"], "too little to train on"

    with_agent(studio, way)


def test_who_sits_elsewhere_names_no_files_and_is_told_none(studio: Studio) -> None:
    write_voice_run(studio.workspace, "ada")

    async def way(agent: Agent) -> None:
        assert "callers at this machine" in await agent.refused("add_recordings", paths=["/etc/passwd"])
        values = settings(studio)
        refused = await agent.refused("plan_voice_training", config={**values, "base": "/srv/model"})
        assert "is a place on the server" in refused
        told = await agent("view_voice_run", run="ada")
        assert str(studio.workspace) not in json.dumps(told)
        assert "no run 'nobody'" in await agent.refused("view_voice_run", run="nobody")

    with_agent(studio, way, local=False)
