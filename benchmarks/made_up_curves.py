"""How often the scorecard's rule tells the truth of curves that were made up: python -m benchmarks.made_up_curves

Two held-out pictures of 16 probes, whose losses lie far apart as real ones do; 200 draws of each curve.
"""

import random
from collections.abc import Sequence

from likeness.judge.recommend import EpochEvidence, compare, recommend

DRAWS, PROBES = 200, 16
NOISE = 0.002  # of a probe
JUMPS = (0.001, 0.003, 0.006)  # of a whole epoch; the gain is 0.04 to 0.05
CURVES: dict[str, tuple[Sequence[float], str]] = {
    "falls to the last epoch": ([0.60 - 0.005 * e for e in range(11)], "underfit"),
    "levels off": ([0.60, 0.58, 0.565, 0.557, 0.553, 0.551, 0.55, 0.55, 0.55, 0.55, 0.55], "sweet spot"),
    "turns up, to the base's": ([0.60, 0.57, 0.56, 0.552, 0.55, 0.551, 0.553, 0.56, 0.57, 0.585, 0.60], "sweet spot"),
    "turns up, far above it": ([0.60, 0.57, 0.56, 0.552, 0.55, 0.551, 0.56, 0.60, 0.68, 0.70, 0.72], "sweet spot"),
    "turns soon": ([0.60, 0.56, 0.59, 0.61, 0.64, 0.67, 0.71, 0.75, 0.79, 0.83, 0.87], "overfit"),
    "never falls, rises soon": ([0.60, 0.602, 0.62, 0.65, 0.68, 0.71, 0.74, 0.77, 0.80, 0.83, 0.86], "overfit"),
    "nothing but noise": ([0.60] * 11, "cannot tell"),
}
# These are overfit from some epoch on, the others are not.
WITH_AN_END = ("turns up, far above it", "turns soon", "never falls, rises soon")


def planted(
    held_out: Sequence[float],
    train: Sequence[float] | None = None,
    *,
    images: int = 2,
    noise: float = 0.0,
    seed: int = 0,
    likeness: Sequence[float] | None = None,
    wiggle: float = 0.0,
) -> list[EpochEvidence]:
    """A run whose held-out loss follows a curve from epoch 0 on. `noise`: of each probe at each epoch; `wiggle`: of
    the whole epoch. Probes differ in level by far more, as real ones do."""
    draw = random.Random(seed)
    levels = [[draw.uniform(-0.3, 0.3) for _ in range(PROBES)] for _ in range(images)]
    mean = sum(map(sum, levels)) / (PROBES * images)
    falling = train or [0.6 - 0.03 * e for e in range(len(held_out))]
    found: list[EpochEvidence] = []
    for epoch, value in enumerate(held_out):
        jump = draw.gauss(0, wiggle) if epoch else 0.0
        losses = {
            f"image {i}": [value - mean + level + jump + draw.gauss(0, noise) for level in levels[i]]
            for i in range(images)
        }
        pictures = {"likeness": {f"p{k}": likeness[epoch] + 0.1 * k for k in range(4)}} if likeness else {}
        found.append(EpochEvidence(epoch, losses, falling[epoch], pictures))
    return found


def main() -> None:
    print(f"| planted | {' | '.join(f'jumps of {jump}' for jump in JUMPS)} |")
    print("| --- |" + " --- |" * len(JUMPS))
    for name, (curve, kind) in CURVES.items():
        cells: list[str] = []
        for jump in JUMPS:
            told = [recommend(planted(curve, noise=NOISE, wiggle=jump, seed=seed)) for seed in range(DRAWS)]
            right = [t.kind == kind and (t.overfit_from is not None) == (name in WITH_AN_END) for t in told]
            cells.append(f"{sum(right) / DRAWS:.0%}")
        ends = ", overfit from some epoch on" if name == WITH_AN_END[0] else ""
        print(f"| {name}: {kind}{ends} | {' | '.join(cells)} |")
    cells = []
    for jump in JUMPS:
        curve = CURVES["levels off"][0]
        runs = [planted(curve, noise=NOISE, wiggle=jump, seed=seed) for seed in range(2 * DRAWS)]
        same = [compare(a, b)[0] == "cannot tell" for a, b in zip(runs[::2], runs[1::2], strict=True)]
        cells.append(f"{sum(same) / DRAWS:.0%}")
    print(f"| two runs of one curve: cannot tell | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
