"""How much data a ConViT saves: ten GPSA layers against none, on a part of the digits (the paper's section 4).

    python benchmarks/sample_efficiency.py [--gpsa_layers 10 0] [--seeds 5] [--steps 200] [--batch_size 16] [--out DIR]

Both networks are convit_tiny as `configs/convit/convit_tiny_digits.yaml` trains it, but for the batch and the length,
on 10, 30 and 100 % of each class, for equal numbers of steps. A seed draws the weights, the images and their order, the
same for both. A run's score is top-1 after the last step on the held-out fifth. Every run that ends is kept in
DIR/runs.jsonl, so that a second call goes on where the first was stopped, and two calls can share the networks. When
all runs are there, the table is printed, and DIR gets sample_efficiency.json and sample_efficiency.png.
"""

import argparse
import json
import sys
import time
from itertools import chain, islice, product
from pathlib import Path
from statistics import mean, stdev

sys.path.insert(0, str(Path(__file__).parents[1]))

import mindspore as ms
from matplotlib.figure import Figure
from mindspore import Tensor

import mindcv
from mindcv import device
from mindcv.config import Config, model_arguments, resolve
from mindcv.engine.build import build_loss, build_optimizer
from mindcv.engine.dataloaders import open_training, open_validation, training_loader, validation_loader
from mindcv.engine.scores import EvalStep, Scores
from mindcv.engine.step import TrainStep
from mindcv.loss import create_loss
from mindcv.scheduler import create_scheduler

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "configs/convit/convit_tiny_digits.yaml"
RATIOS = (0.1, 0.3, 1.0)
CLASSES = 10
NAMES = {10: "ConViT, 10 GPSA layers", 0: "the same without GPSA"}


def recipe(*words) -> Config:
    """The options of the digits' recipe, but for `words`."""
    return resolve(["--config", str(RECIPE), *map(str, words)])


class Trainer:
    """One network, compiled once, and trained from a fresh start as often as it is called."""

    def __init__(self, gpsa_layers: int, steps: int, batch_size: int):
        self.gpsa_layers, self.steps, self.batch_size = gpsa_layers, steps, batch_size
        config = recipe()
        device.set_up(config.device_target, config.mode)
        self.model = self.build(config)
        tenth = steps // 10  # an epoch of the schedule: one of warm-up and nine of decay, much as the recipe's 2 of 23
        rates = create_scheduler(
            tenth, config.scheduler, config.lr, config.min_lr, warmup_epochs=1, decay_epochs=9, num_epochs=10
        )
        rates += rates[-1:] * (steps - len(rates))
        self.optimizer = build_optimizer(config, self.model, rates)
        self.step = TrainStep(self.model, build_loss(config), self.optimizer)
        self.score = EvalStep(self.model, create_loss(config.loss, reduction="none"))
        self.fresh = [(state, state.asnumpy().copy()) for state in self.optimizer.state_parameters().values()]

    def build(self, config: Config) -> ms.nn.Cell:
        ms.set_seed(config.seed)
        arguments = model_arguments(config)
        return mindcv.create_model(num_classes=CLASSES, local_up_to_layer=self.gpsa_layers, **arguments)

    def __call__(self, ratio: float, seed: int) -> dict:
        """The record of a run on the share `ratio` of every class."""
        config = recipe("--batch_size", self.batch_size, "--sampling_ratio", ratio, "--seed", seed)
        for own, new in zip(self.model.get_parameters(), self.build(config).get_parameters(), strict=True):
            own.set_data(Tensor(new.asnumpy()))
        for state, value in self.fresh:
            state.set_data(Tensor(value))
        self.step.stats.reset()

        source = open_training(config)
        loader = training_loader(config, source, CLASSES)
        epochs = -(-self.steps // loader.get_dataset_size())
        passes = loader.create_tuple_iterator(num_epochs=epochs)  # iterating over it gives one epoch after the other
        began = time.process_time()
        self.step.set_train()
        for batch in islice(chain.from_iterable(passes for _epoch in range(epochs)), self.steps):
            self.step(*batch)
        stats = self.step.stats.read()
        seconds = time.process_time() - began
        if stats.succeeded != self.steps:
            sys.exit(f"{stats.succeeded} good steps in place of {self.steps}: {self.gpsa_layers}, {ratio}, seed {seed}")
        self.score.set_train(False)
        scores = Scores(CLASSES)
        validation = validation_loader(config, open_validation(config))
        for batch in validation.create_tuple_iterator(num_epochs=1):
            scores.update(self.score(*batch))
        return {
            "gpsa_layers": self.gpsa_layers, "ratio": ratio, "seed": seed, "steps": self.steps,
            "batch_size": self.batch_size, "images": len(source), "top_1": round(scores.eval()["top_1"], 3),
            "val_loss": round(scores.eval()["loss"], 4), "train_loss": round(stats.mean_loss, 4),
            "cpu_seconds": round(seconds, 1),
        }  # fmt: skip


def done_before(journal: Path, steps: int, batch_size: int) -> dict[tuple, dict]:
    """The runs of so many steps of such batches that are in the journal, by network, share and seed."""
    lines = journal.read_text().splitlines() if journal.exists() else []
    runs = [run for run in map(json.loads, lines) if (run["steps"], run["batch_size"]) == (steps, batch_size)]
    return {(run["gpsa_layers"], run["ratio"], run["seed"]): run for run in runs}


def rows_of(runs: list[dict]) -> list[dict]:
    """A row for each network and share of the images: mean and standard deviation of the seeds' scores."""
    rows = []
    for ratio, gpsa_layers in product(RATIOS, NAMES):
        mine = [run for run in runs if (run["ratio"], run["gpsa_layers"]) == (ratio, gpsa_layers)]
        scores = [run["top_1"] for run in sorted(mine, key=lambda run: run["seed"])]
        rows.append(
            {
                "gpsa_layers": gpsa_layers, "ratio": ratio, "images": mine[0]["images"], "top_1": scores,
                "mean": round(mean(scores), 2), "deviation": round(stdev(scores), 2) if len(scores) > 1 else None,
            }
        )  # fmt: skip
    return rows


def figure_of(rows: list[dict], steps: int, batch_size: int) -> Figure:
    """Top-1 over the number of images: means, standard deviations as bars, and every run as a dot."""
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axis = figure.subplots()
    for (gpsa_layers, name), colour, shift in zip(NAMES.items(), ("#31688e", "#ff9f1c"), (0.97, 1.03), strict=True):
        mine = [row for row in rows if row["gpsa_layers"] == gpsa_layers]
        places = [row["images"] * shift for row in mine]
        for place, row in zip(places, mine, strict=True):
            axis.plot([place] * len(row["top_1"]), row["top_1"], ".", color=colour, alpha=0.4, markersize=7)
        deviations = [row["deviation"] or 0 for row in mine]
        style = {"color": colour, "marker": "os"[gpsa_layers == 0], "capsize": 4, "linewidth": 1.8, "label": name}
        axis.errorbar(places, [row["mean"] for row in mine], deviations, **style)
    counts = sorted({row["images"]: row["ratio"] for row in rows}.items())
    axis.set(xscale="log", ylim=(0, 100), xlabel="training images (share of each class)", ylabel="top-1, %")
    axis.set_xticks([images for images, _ in counts], [f"{images:,}\n({ratio:.0%})" for images, ratio in counts])
    axis.minorticks_off()
    axis.axhline(10, color="#888888", linestyle=":", linewidth=1)
    axis.annotate("chance", (counts[0][0], 11.5), color="#666666", fontsize=9, ha="center")
    axis.grid(color="#e8e8e8")
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, ncols=2, loc="upper center")
    seeds = len(rows[0]["top_1"])
    length = f"{steps} steps of {batch_size} images"
    axis.set_title(f"Held-out digits after {length}: mean ± deviation of {seeds} seeds", fontsize=10)
    return figure


def report(runs: list[dict], steps: int, batch_size: int, out: Path) -> None:
    """Print the table, and write it and the figure to the folder `out`."""
    rows = rows_of(runs)
    for row in rows:
        spread = "" if row["deviation"] is None else f" ± {row['deviation']:.2f}"
        name = NAMES[row["gpsa_layers"]]
        print(f"{row['ratio']:4.0%}  {row['images']:5,} images  {name:22}  {row['mean']:5.2f}{spread} %")
    record = {"steps": steps, "batch_size": batch_size, "rows": rows}
    (out / "sample_efficiency.json").write_text(json.dumps(record, indent=2) + "\n")
    figure_of(rows, steps, batch_size).savefig(out / "sample_efficiency.png", dpi=200)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpsa_layers", type=int, nargs="+", choices=list(NAMES), default=list(NAMES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--out", type=Path, default=ROOT / "runs/sample_efficiency", metavar="DIR")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    journal, length = options.out / "runs.jsonl", (options.steps, options.batch_size)
    for gpsa_layers in options.gpsa_layers:
        trainer = None
        for seed, ratio in product(range(options.seeds), RATIOS):
            if (gpsa_layers, ratio, seed) in done_before(journal, *length):
                continue
            trainer = trainer or Trainer(gpsa_layers, *length)
            run = trainer(ratio, seed)
            with journal.open("a") as file:
                file.write(json.dumps(run) + "\n")
            print(json.dumps(run), flush=True)
    done = done_before(journal, *length)
    wanted = [*product(NAMES, RATIOS, range(options.seeds))]
    if missing := len([run for run in wanted if run not in done]):
        print(f"{missing} of {len(wanted)} runs are still to be made")
    else:
        report([done[run] for run in wanted], *length, options.out)


if __name__ == "__main__":
    main()
