import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from likeness.errors import InputError, RunFailed
from likeness.voices.audio import read_clip
from likeness.voices.engine import Manner
from likeness.voices.script_engine import ScriptEngine

ENGINE = """
import json, shutil, sys
out, sys.stdout = sys.stdout, sys.stderr
def send(m):
    out.write(json.dumps(m) + "\\n"); out.flush()
{before}
send({{"event": "ready", "protocol": {protocol}}})
for line in sys.stdin:
    m = json.loads(line)
    if m["op"] == "quit":
        break
    print("libraries print what they like")
    {answer}
"""
ECHO = """
    if m["op"] == "say":
        shutil.copyfile(m["reference"], m["out"])
    send({"id": m["id"], "ok": True, "values": {"said": m.get("text", ""), "seed": m.get("seed")}})
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Callable[..., ScriptEngine]]:
    made: list[ScriptEngine] = []

    def make(answer: str = ECHO, before: str = "", protocol: int = 1) -> ScriptEngine:
        path = tmp_path / "engine.py"
        path.write_text(ENGINE.format(answer=answer.strip(), before=before, protocol=protocol))
        made.append(ScriptEngine(path))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_an_engine_of_its_own_learns_and_speaks(engine: Callable[..., ScriptEngine], low: Path, tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    speaker, clip = engine(), read_clip(low)
    values = speaker.learn(clip, tmp_path / "v")
    assert Path(values["script"]).name == "engine.py" and values["own"]["said"] == ""
    said = speaker.say("hello", tmp_path / "v", values, Manner(seed=3))
    assert said.seconds == pytest.approx(clip.seconds, abs=0.01)
    process = speaker._process  # type: ignore[reportPrivateUsage]
    speaker.close()
    assert process is not None and process.returncode == 0


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"answer": 'send({"id": m["id"], "ok": False, "error": "no such voice"})'}, "no such voice"),
        ({"answer": 'send({"id": 99, "ok": True})'}, "something else than was asked"),
        ({"answer": 'out.write("hello\\n"); out.flush()'}, "no answer: 'hello"),
        ({"answer": "sys.exit(7)"}, "ended by itself"),
        ({"before": "raise SystemExit('no GPU here')"}, "no GPU here"),
        ({"protocol": 9}, "ready for protocol 1"),
    ],
)
def test_what_goes_wrong_is_told_with_the_engines_own_words(
    engine: Callable[..., ScriptEngine], low: Path, tmp_path: Path, how: dict[str, object], words: str
) -> None:
    (tmp_path / "v").mkdir()
    with pytest.raises(RunFailed, match=words):
        engine(**how).learn(read_clip(low), tmp_path / "v")


def test_nothing_is_left_where_temporary_files_go(
    engine: Callable[..., ScriptEngine], low: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    (tmp_path / "v").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    speaker = engine(before="print('loading', file=sys.stderr)")
    values = speaker.learn(read_clip(low), tmp_path / "v")
    speaker.say("hello", tmp_path / "v", values, Manner(seed=3))
    speaker.close()
    with pytest.raises(RunFailed, match="gone\ntogether"):
        engine(before="sys.exit('gone\\ntogether')").learn(read_clip(low), tmp_path / "v")
    assert list(place.iterdir()) == []


def test_a_script_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not there"):
        ScriptEngine(tmp_path / "no.py")
