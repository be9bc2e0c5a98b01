"""What is not training: scores, start-up, planning, saving, and the default study's first look."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
import yaml
from loops import MODELS, Row, seconds

from jackpot.models import build_model
from jackpot.pruning.make_masks import make_masks
from jackpot.pruning.scores import SCORES
from jackpot.randomness import generator
from jackpot.settings import Training
from jackpot.study.config import Resume
from jackpot.training.engine import TrainingLoop, cpu_state
from jackpot.training.resume import ResumeFile

ROOT = Path(__file__).parent.parent
CPU = torch.device("cpu")
SNAKEMAKE = [sys.executable, "-m", "snakemake"]


def score_rows(device: torch.device) -> Iterator[Row]:
    """Seconds of one call of each score on 100 images, and of SynFlow's 100 rounds."""
    images = torch.randn(100, 3, 32, 32, device=device)
    labels = torch.arange(100, device=device) % 10
    for name, options in MODELS.items():
        model = build_model(name, **options).to(device)
        for score in ("snip", "grasp", "synflow", "magnitude"):
            found = [
                seconds(lambda s=score, m=model: SCORES[s](m, (images, labels), None), device)
                for _ in range(3)
            ]
            yield f"score {score}", name, statistics.median(found), "s", "", ""
        pruner = {"score": "synflow", "allocation": "global", "rounds": 100, "sparsities": [0.98]}
        took = seconds(
            lambda m=model, p=pruner: make_masks(
                m, (images, labels), generator=generator(0, "prune"), **p
            ),
            device,
        )
        yield "pruner synflow, 100 rounds, one sparsity", name, took, "s", "", ""


def start_rows() -> Iterator[Row]:
    """Seconds before a job works: an ordinary process, and a fork of the warm one."""
    script = ["workflow/scripts/retrain.py", "--help"]
    imports = "import jackpot.cli, jackpot.stages.retrain"

    def run(command: list[str], environment: dict[str, str] | None = None) -> float:
        return seconds(
            lambda: subprocess.run(
                command, cwd=ROOT, check=True, env=environment, stdout=subprocess.DEVNULL
            ),
            CPU,
        )

    ordinary = [run([sys.executable, "-c", imports]) for _ in range(5)]
    yield "start of a job, ordinary process", "", statistics.median(ordinary), "s", "", ""
    with tempfile.TemporaryDirectory() as folder:
        warm = {
            **os.environ,
            "JACKPOT_WARM": f"{folder}/w",
            # The server ends with this process, or a second after the last line below.
            "JACKPOT_WARM_OWNER": str((owner := subprocess.Popen(["sleep", "600"])).pid),
        }
        command = [sys.executable, "-S", "-E", "workflow/scripts/warm.py", *script]
        try:
            found = [run(command, warm) for _ in range(21)]
        finally:
            owner.kill()
            owner.wait()
            time.sleep(2)
    yield "start of the warm process, once", "", found[0], "s", "", ""
    yield "start of a job, fork of it", "", statistics.median(found[1:]), "s", "", ""


def _snakemake(*arguments: str) -> tuple[float, float]:
    """Seconds and peak MiB of one Snakemake call."""
    # A process between: a child's peak begins at its parent's.
    between = (
        "import resource, subprocess, sys\n"
        "quiet = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}\n"
        "status = subprocess.run(sys.argv[1:], **quiet).returncode\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
        "sys.exit(status)"
    )
    command = [sys.executable, "-S", "-c", between, *SNAKEMAKE, *arguments]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"snakemake {' '.join(arguments)} failed; run it by hand to see why")
    return time.perf_counter() - started, int(done.stdout) / 2**10


def plan_rows() -> Iterator[Row]:
    """Seconds and memory of a dry run against the number of runs."""
    for runs in (1000, 2000, 4000):
        study = {
            "name": "runs",
            "datasets": {"digits": {"kind": "digits"}},
            "models": {"vgg5": {}},
            "experiments": [
                {"tickets": ["snip"], "sparsities": [0.9, 0.95], "seeds": list(range(runs // 2))}
            ],
        }
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "runs.yaml"
            path.write_text(yaml.safe_dump(study))
            config = ["--config", f"study={path}", f"results_dir={folder}"]
            took, peak = _snakemake("-n", "-q", "--cores", "1", *config)
        yield f"dry run of {runs:,} runs", "", took, "s", "", ""
        yield f"memory of a dry run of {runs:,} runs", "", peak, "MiB", "", ""


def study_rows() -> Iterator[Row]:
    """The default study's first look, from nothing to its page, and how much of it was training."""
    cores = os.cpu_count() or 1
    profile = ["--workflow-profile", "workflow/profiles/default"]
    with tempfile.TemporaryDirectory() as folder:
        study = yaml.safe_load((ROOT / "studies/digits.yaml").read_text(encoding="utf-8"))
        seeds = study["statistics"]["looks"][0]
        study["statistics"] |= {"looks": [seeds], "shares": [1]}
        # One experiment names the seeds of all.
        study["experiments"][0]["seeds"] = study["experiments"][0]["seeds"][:seeds]
        first = Path(folder) / "digits.yaml"
        first.write_text(yaml.safe_dump(study), encoding="utf-8")
        places = [f"results_dir={folder}/results", f"data_dir={folder}/data"]
        config = ["--config", f"study={first}", *places]
        took, _ = _snakemake("--cores", str(cores), *profile, *config)
        # A dense row is a copy of its pretraining.
        trained = sum(
            json.loads(path.read_text())["seconds"]
            for path in Path(folder).glob("results/digits/**/metrics.json")
            if "dense" not in path.parts
        )
    yield f"first look of the default study, {cores} cores", "", took, "s", "", ""
    # All that is not training: start-up, scores, tables, figures, and Snakemake itself.
    yield (
        "first look, time outside training",
        "",
        100 * (1 - trained / took / cores),
        "%",
        "",
        "",
    )


def resume_rows(rounds: int, folder: Path) -> Iterator[Row]:
    """One save of VGG19's whole state, fsync included, and its share at the default interval."""
    model, interval = build_model("vgg19"), 60 * Resume().minutes
    with tempfile.TemporaryDirectory(dir=folder) as place:
        resume = ResumeFile(Path(place) / "vgg19.safetensors", "benchmark")
        run = TrainingLoop(model, Training(), None, resume)
        run.outcome.snapshots[40] = cpu_state(model)
        took = statistics.median(seconds(run.save, CPU) for _ in range(rounds))
        size = resume.path.stat().st_size / 2**20
    yield "resume file", "vgg19", size, "MiB", "", ""
    yield "save of a resume file", "vgg19", took, "s", "", ""
    share = 100 * took / (interval + took)
    yield f"saving every {interval / 60:g} minutes", "vgg19", share, "%", "", ""
