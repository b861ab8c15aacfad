"""Compare the sample efficiency of ten GPSA layers with that of none on subsets of the digits (the paper's section 4).

    python benchmarks/sample_efficiency.py [--gpsa_layers 10 0] [--seeds 5] [--steps 200] [--batch_size 16] [--out DIR]

Both networks are convit_tiny, trained with `configs/convit/convit_tiny_digits.yaml` but another batch size and length,
on 10, 30 and 100 % of each class, for the same number of steps. A seed determines the initial weights, the images and
their order, the same for both networks. The score of a run is top-1 on the held-out fifth after the last step.

Every finished run is appended to DIR/runs.jsonl, and a later call makes only the missing runs. So an interrupted call
can be repeated, and two calls can each train one network. When all runs are finished, the table is printed and written
to DIR/sample_efficiency.json, and the figure to DIR/sample_efficiency.png.
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


def recipe(*arguments) -> Config:
    """Return the options of the digits recipe, changed by the command-line `arguments`."""
    return resolve(["--config", str(RECIPE), *map(str, arguments)])


class Trainer:
    """A network that is compiled once and trained from new initial weights by each call.

    Args:
        gpsa_layers: Number of GPSA layers.
        steps: Training steps per run.
        batch_size: Images per step.
    """

    def __init__(self, gpsa_layers: int, steps: int, batch_size: int):
        self.gpsa_layers, self.steps, self.batch_size = gpsa_layers, steps, batch_size
        config = recipe()
        device.set_up(config.device_target, config.mode)
        self.model = self.build(config)
        tenth = (
            steps // 10
        )  # an epoch of the schedule: one of warm-up and nine of decay, similar to the recipe's 2 of 23
        lrs = create_scheduler(
            tenth, config.scheduler, config.lr, config.min_lr, warmup_epochs=1, decay_epochs=9, num_epochs=10
        )
        lrs += lrs[-1:] * (steps - len(lrs))
        self.optimizer = build_optimizer(config, self.model, lrs)
        self.step = TrainStep(self.model, build_loss(config), self.optimizer)
        self.score = EvalStep(self.model, create_loss(config.loss, reduction="none"))
        self.initial_state = [(state, state.asnumpy().copy()) for state in self.optimizer.state_parameters().values()]

    def build(self, config: Config) -> ms.nn.Cell:
        """Return the network with initial weights drawn from `config.seed`."""
        ms.set_seed(config.seed)
        arguments = model_arguments(config)
        return mindcv.create_model(num_classes=CLASSES, local_up_to_layer=self.gpsa_layers, **arguments)

    def __call__(self, ratio: float, seed: int) -> dict:
        """Train on the fraction `ratio` of each class, and return the run's settings, scores and seconds."""
        config = recipe("--batch_size", self.batch_size, "--sampling_ratio", ratio, "--seed", seed)
        for parameter, initial in zip(self.model.get_parameters(), self.build(config).get_parameters(), strict=True):
            parameter.set_data(Tensor(initial.asnumpy()))
        for state, value in self.initial_state:
            state.set_data(Tensor(value))
        self.step.stats.reset()

        source = open_training(config)
        loader = training_loader(config, source, CLASSES)
        epochs = -(-self.steps // loader.get_dataset_size())
        batches = loader.create_tuple_iterator(num_epochs=epochs)  # each pass over the iterator is the next epoch
        start = time.process_time()
        self.step.set_train()
        for batch in islice(chain.from_iterable(batches for _ in range(epochs)), self.steps):
            self.step(*batch)
        stats = self.step.stats.read()
        seconds = time.process_time() - start
        if stats.succeeded != self.steps:
            sys.exit(
                f"only {stats.succeeded} of {self.steps} steps were finite: "
                f"{self.gpsa_layers} GPSA layers, ratio {ratio}, seed {seed}"
            )
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


def finished_runs(runs_file: Path, steps: int, batch_size: int) -> dict[tuple, dict]:
    """Return the runs in `runs_file` with these steps and batch size, by (gpsa_layers, ratio, seed)."""
    lines = runs_file.read_text().splitlines() if runs_file.exists() else []
    runs = [run for run in map(json.loads, lines) if (run["steps"], run["batch_size"]) == (steps, batch_size)]
    return {(run["gpsa_layers"], run["ratio"], run["seed"]): run for run in runs}


def summarise(runs: list[dict]) -> list[dict]:
    """Return a row for each network and fraction of the images, with mean and standard deviation over the seeds.

    A row has gpsa_layers, ratio, images, top_1 (the scores in %, in the order of the seeds), mean and deviation (None
    for one seed).
    """
    rows = []
    for ratio, gpsa_layers in product(RATIOS, NAMES):
        matching = [run for run in runs if (run["ratio"], run["gpsa_layers"]) == (ratio, gpsa_layers)]
        scores = [run["top_1"] for run in sorted(matching, key=lambda run: run["seed"])]
        rows.append(
            {
                "gpsa_layers": gpsa_layers, "ratio": ratio, "images": matching[0]["images"], "top_1": scores,
                "mean": round(mean(scores), 2), "deviation": round(stdev(scores), 2) if len(scores) > 1 else None,
            }
        )  # fmt: skip
    return rows


def plot(rows: list[dict], steps: int, batch_size: int) -> Figure:
    """Plot top-1 over the number of images: means, standard deviations as bars, and every run as a dot."""
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axis = figure.subplots()
    for (gpsa_layers, name), colour, shift in zip(NAMES.items(), ("#31688e", "#ff9f1c"), (0.97, 1.03), strict=True):
        network_rows = [row for row in rows if row["gpsa_layers"] == gpsa_layers]
        xs = [row["images"] * shift for row in network_rows]
        for x, row in zip(xs, network_rows, strict=True):
            axis.plot([x] * len(row["top_1"]), row["top_1"], ".", color=colour, alpha=0.4, markersize=7)
        deviations = [row["deviation"] or 0 for row in network_rows]
        style = {"color": colour, "marker": "os"[gpsa_layers == 0], "capsize": 4, "linewidth": 1.8, "label": name}
        axis.errorbar(xs, [row["mean"] for row in network_rows], deviations, **style)
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
    """Print the table of `runs`, and write it and the figure to the folder `out`."""
    rows = summarise(runs)
    for row in rows:
        deviation = "" if row["deviation"] is None else f" ± {row['deviation']:.2f}"
        name = NAMES[row["gpsa_layers"]]
        print(f"{row['ratio']:4.0%}  {row['images']:5,} images  {name:22}  {row['mean']:5.2f}{deviation} %")
    record = {"steps": steps, "batch_size": batch_size, "rows": rows}
    (out / "sample_efficiency.json").write_text(json.dumps(record, indent=2) + "\n")
    plot(rows, steps, batch_size).savefig(out / "sample_efficiency.png", dpi=200)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--gpsa_layers", type=int, nargs="+", choices=list(NAMES), default=list(NAMES), help="networks to train"
    )
    parser.add_argument("--seeds", type=int, default=5, help="seeds per row (default: 5)")
    parser.add_argument("--steps", type=int, default=200, help="steps per run (default: 200)")
    parser.add_argument("--batch_size", type=int, default=16, help="images per step (default: 16)")
    parser.add_argument("--out", type=Path, default=ROOT / "runs/sample_efficiency", metavar="DIR")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    runs_file, length = options.out / "runs.jsonl", (options.steps, options.batch_size)
    for gpsa_layers in options.gpsa_layers:
        trainer = None
        for seed, ratio in product(range(options.seeds), RATIOS):
            if (gpsa_layers, ratio, seed) in finished_runs(runs_file, *length):
                continue
            trainer = trainer or Trainer(gpsa_layers, *length)
            run = trainer(ratio, seed)
            with runs_file.open("a") as file:
                file.write(json.dumps(run) + "\n")
            print(json.dumps(run), flush=True)
    finished = finished_runs(runs_file, *length)
    wanted = [*product(NAMES, RATIOS, range(options.seeds))]
    if missing := len([run for run in wanted if run not in finished]):
        print(f"{missing} of {len(wanted)} runs are missing")
    else:
        report([finished[run] for run in wanted], *length, options.out)


if __name__ == "__main__":
    main()
