"""Make some runs of a study again, from the dataset on, and compare them.

Bit for bit where bits are promised: on one kind of processor, or on several with portable
arithmetic. Where they are not, the accuracies are compared.
"""

import csv
import math
import random
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jackpot.analysis.sequential import paired_test
from jackpot.errors import JackpotError
from jackpot.files.atomic import read_sealed, write_json
from jackpot.fingerprints import differences
from jackpot.study import Plan, Run
from jackpot.study.paths import SNAKEFILE

ROUNDED = ("test_accuracy", "test_loss", "best_test_accuracy")
NUMBERS = (*ROUNDED, "density", "layers", "epochs")
# No bit of ours is known to depend on the versions of system and C library, or of Python.
NOT_ARITHMETIC = ("platform", "python")
# Of the test that accuracies made elsewhere are the same in the mean.
ALPHA = 0.01


@dataclass
class Comparison:
    """One run, as it was and as it came out again.

    Attributes:
        differs: what is not the same to the bit; empty where all is.
        reasons: what was not the same beforehand, and so may have caused it.
        change: in points of test accuracy, where other bits were to be expected.
    """

    run: Run
    differs: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    change: float | None = None

    def __str__(self) -> str:
        if not self.differs:
            return f"same       {self.run.path}"
        why = "; ".join(self.reasons) or "no reason is known: same code, inputs, device, versions"
        if self.change is not None:
            return f"elsewhere  {self.run.path}: test accuracy {self.change:+.2f} points ({why})"
        return f"different  {self.run.path}: {', '.join(self.differs)} ({why})"


def choose(plan: Plan, number: int, seed: int) -> list[Run]:
    """A random sample of the runs that have a result.

    Raises:
        JackpotError: there is none.
    """
    there = [run for run in plan.study.runs() if _metrics(plan, run).exists()]
    if not there:
        raise JackpotError(f"{plan.root}/runs: no run has a result yet; there is nothing to check.")
    return sorted(random.Random(seed).sample(there, min(number, len(there))))


def verify(plan: Plan, runs: list[Run], scratch: Path, *, cores: int) -> list[Comparison]:
    """Let Snakemake make ``runs`` again below ``scratch``, and compare.

    Downloads are shared with the study; nothing else is.

    Raises:
        JackpotError: Snakemake failed, or a result is damaged.
    """
    config = plan.config.model_copy(update={"results_dir": str(scratch), "partial": False})
    again = Plan(plan.study, config)
    write_json(scratch / "config.json", config.model_dump(mode="json"))
    targets = [str(_metrics(again, run)) for run in runs]
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(SNAKEFILE),
        "--cores",
        str(cores),
    ]
    # Without the profile, which keeps going after a failure.
    command += ["--workflow-profile", "none", "--scheduler", "greedy"]
    command += ["--quiet", "host", "reason", "--show-failed-logs"]
    # All settings are in this file; Snakemake would else add those of config.yaml to them.
    command += ["--replace-workflow-config", "--configfile", str(scratch / "config.json")]
    command += ["--", *targets]
    if subprocess.run(command).returncode:
        raise JackpotError(f"{scratch}: Snakemake could not make these runs; its messages say why.")
    return [compare(plan, again, run) for run in runs]


def compare(plan: Plan, again: Plan, run: Run) -> Comparison:
    """The two results of one run."""
    old, new = (read_sealed(_metrics(p, run)) for p in (plan, again))
    return _compared(run, old, new, _history(plan, run) == _history(again, run))


def _compared(run: Run, old: dict[str, Any], new: dict[str, Any], histories: bool) -> Comparison:
    found = Comparison(run)
    if old["weights_sha256"] != new["weights_sha256"]:
        found.differs.append("final weights")
    if not histories:
        found.differs.append("history")
    found.differs += [name for name in NUMBERS if old[name] != new[name]]
    if found.differs:
        found.reasons = list(_reasons(old, new))
        if _only_rounded(old, new, found.differs) and not promised(old, new):
            found.change = new["test_accuracy"] - old["test_accuracy"]
    return found


def _only_rounded(old: dict[str, Any], new: dict[str, Any], differs: list[str]) -> bool:
    """Whether another rounding can be all there is to it: other weights, and what follows."""
    follows = {"final weights", "history", *ROUNDED}
    finite = None not in (old["test_accuracy"], new["test_accuracy"])
    return finite and "final weights" in differs and follows.issuperset(differs)


def promised(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether two results of a run, ``metrics.json`` as it was and is, must have the same bits.

    A result of other code, settings or data is promised nothing and excused nothing: what differs
    is an error until its reason is read.
    """
    if old["fingerprints"]["run"] != new["fingerprints"]["run"]:
        return True
    before, now = (
        {name: v for name, v in result["versions"].items() if name not in NOT_ARITHMETIC}
        for result in (old, new)
    )
    if before != now:
        return False
    if now.get("arithmetic") == "portable":
        # Of a processor's name only the number of threads is left; a GPU has none.
        where = [result["device"].rpartition(", ")[2] for result in (old, new)]
        return where[0] == where[1]
    return old["device"] == new["device"]


def moved(found: list[Comparison]) -> bool:
    """Whether accuracies made elsewhere differ in the mean beyond chance (paired t-test)."""
    changes = [c.change for c in found if c.change is not None]
    p = paired_test(changes, math.inf)["p_difference"] if len(changes) > 2 else 1.0
    return p < ALPHA


def _reasons(old: dict[str, Any], new: dict[str, Any]):
    before, now = old["fingerprints"], new["fingerprints"]
    for kind in differences(before["run"], now["run"]):
        yield f"made by other {kind} than today's"
    for name, digest in before["inputs"].items():
        if now["inputs"].get(name) != digest:
            yield f"its {name} came out different"
    if old["device"] != new["device"]:
        yield f"made on {old['device']}, now on {new['device']}"
    for name, version in old["versions"].items():
        if new["versions"].get(name) != version:
            yield f"{name} was {version} and is {new['versions'].get(name)}"


def _history(plan: Plan, run: Run) -> list[dict[str, str]]:
    with open(_metrics(plan, run).with_name("history.csv"), encoding="utf-8") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def _metrics(plan: Plan, run: Run) -> Path:
    return Path(plan.root) / run.path / "metrics.json"
