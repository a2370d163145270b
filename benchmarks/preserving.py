"""Does preservation (`preserve.weight`) hold back what a LoRA leaks, and what does it cost?

    python -m benchmarks.preserving
    python -m benchmarks.preserving --example character/mika --as "a girl"

An example is trained with it and without, whatever its file says, all else alike, drawn from at several epochs and
judged as the LoRAs of `starter_quality` are: 33 prompts with the trigger, 16 controls without.
"""

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.attribute_school import load_judge
from benchmarks.starter_loras import SUBJECTS, Learned, learned, train
from benchmarks.starter_quality import Studio
from likeness.events import StepDone, read_events

PICTURES = 33  # with the trigger; half as many controls
COLUMNS = ("epoch", "trait there", "the rest of the prompt", "controls unchanged", "of them, what was right", "leak")


def pictures_a_second(run: Path) -> float:
    speeds = sorted(e.images_per_second for e in read_events(run / "events.jsonl") if isinstance(e, StepDone))
    return speeds[len(speeds) // 2]


def table(found: Learned, title: str) -> Table:
    grid = Table(title=title, title_justify="left")
    for name in COLUMNS:
        grid.add_column(name, justify="right")
    for look in found.looks:
        shares = (look.most, look.obeyed, look.unchanged, look.still_right, look.leak)
        grid.add_row(str(look.epoch), *(f"{share:.1%}" for share in shares))
    return grid


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--example", default="style/glass", choices=[s.example for s in SUBJECTS])
    parser.add_argument("--as", dest="instead", default="", help="preserve.class_word; the example's own if left out")
    parser.add_argument("--preserve", type=float, default=1, help="weight (%(default)s)")
    parser.add_argument("--epochs", type=int, nargs="+", default=[10, 15, 20], help="to look at (%(default)s)")
    parser.add_argument("--folder", type=Path, default=Path("build/preserving"))
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    subject = next(s for s in SUBJECTS if s.example == args.example)
    judge, console = load_judge(), Console()
    preserving = [
        f"preserve.weight={args.preserve}",
        *([f"preserve.class_word={args.instead}"] if args.instead else []),
    ]
    plain = ["preserve.weight=0", "preserve.class_word="]
    studio = Studio("starter", args.folder, args.threads)
    for name, settings in (("plain", plain), (f"preserve-{args.preserve:g}", preserving)):
        place = studio.folder / name
        run = train(subject, place, args.threads, max(args.epochs), settings)
        drawn = place / "drawn" / run.name
        found = learned(subject, run, studio.family.networks, studio.picture, judge, drawn, PICTURES, args.epochs)
        console.print(table(found, f"{subject.example}, {name}: {pictures_a_second(run):.1f} pictures a second"))


if __name__ == "__main__":
    main()
