"""All of the studio's pages as pictures, for a look at the whole: on a desk and on a phone, light and dark.

python -m benchmarks.studio_screens FOLDER [--workspace build/studio] [--only WORD ...]

What is seen is real: the workspace is filled through the studio itself, with the example character trained on the base
that comes along, an epoch published, pictures drawn, a voice cloned (of a speech synthesiser: no person is heard).
That takes minutes; what is there already is left. The documentation's own pictures are made by `make screens`.
"""

import argparse
import base64
import io
import json
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.studio_browser import Server, browser
from likeness.studio import (
    datasets,
    gallery,
    generations,
    library,
    models,
    queue,
    recordings,
    run_summaries,
    runs,
    starting,
    uploads,
    voices,
)
from likeness.studio.endings import ENDINGS
from likeness.studio.generations import GenerationRequest
from likeness.studio.library import Filter
from likeness.studio.lora_choice import LoraChoice
from likeness.studio.supervisor import Supervisor
from likeness.studio.voices import CloneRequest, SayRequest
from likeness.studio.workspace import Studio
from likeness.voices import espeak
from likeness.voices.audio import write_sound
from likeness.web.reading import PASSAGE

DESK, PHONE = (1400, 900), (390, 844)
MOST_BYTES = 300_000
MOST_TALL = 2400  # pixels of a page that are shown
RUN = "mika"
CONFIG: dict[str, Any] = {
    "name": RUN,
    "kind": "character",
    "base": "starter",
    "trigger": "mika_char",
    "data": {"datasets": [{"path": "dataset:mika", "repeats": 15}]},
    "sampling": {
        "prompts": [
            "mika_char, smiling and waving, half body, in the mountains, flat style",
            "mika_char, surprised, half body, in a desert at sunset, outline style",
            "mika_char, calm, full body, in a room, flat style",
            "a girl with long pink hair wearing a red dress, smiling, half body, in a forest, flat style",
        ]
    },
}
PROMPTS = ("mika_char, smiling, half body, in the mountains, flat style",
           "mika_char, waving, full body, at a beach, outline style")  # fmt: skip
SAID = ("The ferry leaves at nine, and the kettle is on.",
        "Nobody knew why the old clock had stopped at noon, and after a while nobody asked.")  # fmt: skip
PAGES = ("/", "/train", "/train?dataset={dataset}", "/runs", "/runs/{run}", "/datasets", "/datasets/{dataset}",
         "/library", "/library/{model}", "/generate", "/generate/pictures/all", "/merge", "/voices",
         "/voices/new?recordings={recording}", "/voices/{voice}", "/voices/train", "/voices/verify", "/queue",
         "/queue/{job}", "/settings", "/settings/notices", "/settings/keys", "/nowhere")  # fmt: skip


def fill(workspace: Path) -> None:
    """Train, choose, publish, draw: whatever of it is not there yet."""
    studio = Studio(workspace)
    supervisor = Supervisor(studio, ["cpu"], ENDINGS)
    supervisor.start()
    try:
        starting.put_in(studio, "mika")
        starting.put_in(studio, "party-hat")
        if not (workspace / RUN / "run.json").exists():
            planned = runs.plan(studio, CONFIG)
            runs.start(studio, CONFIG, planned.digest)
        wait(studio)
        summary = run_summaries.summary_of(studio, RUN)
        epoch = summary.suggested_epoch or summary.epochs_saved
        runs.choose(studio, RUN, epoch)
        model = published(studio, epoch)
        if gallery.listed(studio)[1] < 2 * len(PROMPTS):
            for prompt in PROMPTS:
                generations.generate(studio, GenerationRequest(prompt, (LoraChoice(model),), batch=4, seed=1))
        wait(studio)
        speak(studio)
        queue.mark_seen(studio)
    finally:
        supervisor.stop()
        studio.close()


def speak(studio: Studio) -> None:
    """A voice that has said something, and the recording that it was made from."""
    if voices.listed(studio)[1]:
        return
    samples, rate = espeak.say(PASSAGE, "en-gb+m3", 150, 40, 60)
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "harbour.wav"
        write_sound(sound, samples * 0.5, rate)
        with uploads.receiving(studio, sound.name, recordings.MOST_BYTES) as incoming:
            incoming.write(sound.read_bytes())
            recording = recordings.receive(studio, incoming).id
    recordings.check(studio, [recording])
    consent = "The speaker is espeak-ng, a program; no person is heard, and nobody has to be asked."
    voices.clone(studio, CloneRequest((recording,), "Harbour", consent, tags=("example", "calm")))
    wait(studio)
    for text in SAID:
        voices.say(studio, SayRequest(voices.listed(studio)[0][0].id, text))
    wait(studio)


def published(studio: Studio, epoch: int) -> str:
    """The model's id."""
    if found := library.listed(studio, Filter(search=RUN)).models:
        return found[0].id
    words = "A drawn girl with mint fins for hair and a lightning bolt on her shirt."
    return models.publish(studio, RUN, epoch, name=RUN, tags=["example", "character"], description=words).id


def wait(studio: Studio) -> None:
    while open_jobs := queue.listed(studio, states=["queued", "running"]):
        print(f"{open_jobs[0].title} …", flush=True)
        time.sleep(5)


def places(workspace: Path) -> dict[str, str]:
    """What pages are about."""
    studio = Studio(workspace)
    try:
        jobs = queue.listed(studio, limit=1)
        return {
            "run": RUN,
            "dataset": datasets.get(studio, "mika").id,
            "model": published(studio, 0),
            "job": jobs[0].id if jobs else "none",
            "voice": voices.listed(studio)[0][0].id,
            "recording": recordings.recent(studio)[-1].id,
        }
    finally:
        studio.close()


def picture(driver: Any, size: tuple[int, int], theme: str, height: int = MOST_TALL) -> Image.Image:
    """The open page from its top, as tall as it is, or as `height`."""
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": theme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
    driver.execute_script("scrollTo(0, 0); document.querySelectorAll('toast-box > *').forEach((one) => one.remove())")
    tall = int(driver.execute_script("return document.documentElement.scrollHeight"))
    metrics["height"] = min(tall, height)
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)  # so that lazy pictures are loaded
    time.sleep(1.5)
    driver.execute_async_script(
        "const done = arguments[0]; setTimeout(done, 4000);"  # some pictures are never in view
        "Promise.allSettled([...document.images].map((i) => i.decode())).then(() => done())"
    )
    data = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"]
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")


def save(image: Image.Image, path: Path) -> None:
    """As small as it has to be: with fewer colours, and then with fewer pixels."""
    for colours, scale in ((256, 1.0), (256, 0.85), (256, 0.7), (128, 0.6), (64, 0.5)):
        size = (round(image.width * scale), round(image.height * scale))
        small = image.resize(size, Image.Resampling.LANCZOS) if scale < 1 else image
        small.quantize(colours, kmeans=2, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
        if path.stat().st_size < MOST_BYTES:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workspace", type=Path, default=Path("build/studio"))
    parser.add_argument("--only", nargs="*", help="only pages whose address holds one of these")
    options = parser.parse_args()
    fill(options.workspace)
    about = places(options.workspace)
    server = Server(options.workspace)
    options.folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            driver = browser(Path(profile))
            json.load(urllib.request.urlopen(f"{server.address}/healthz"))
            for page in (p for p in PAGES if not options.only or any(word in p for word in options.only)):
                name = page.format(**about).strip("/").replace("/", "_").replace("?", "-") or "start"
                for kind, size in (("desk", DESK), ("phone", PHONE)):
                    for theme in ("light", "dark"):
                        driver.get(server.address + page.format(**about))
                        picture(driver, size, theme).save(options.folder / f"{name}-{kind}-{theme}.png")
            driver.quit()
    finally:
        server.stop()


if __name__ == "__main__":
    main()
