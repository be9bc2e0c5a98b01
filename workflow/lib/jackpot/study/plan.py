"""From a study to files: paths, inputs and command lines of every job.

The rules in workflow/rules are plumbing around this; ``jackpot`` words only, no Snakemake, no
torch.
"""

import json
from typing import Any

from jackpot.cli import command_options
from jackpot.study.config import Config
from jackpot.study.fingerprints import Fingerprints, code_of, digest, recorded
from jackpot.study.model import Run, Study
from jackpot.study.tickets import check_of_data


class Plan:
    """The jobs of one study on one machine.

    Methods that answer for a job take its wildcards: ``dataset``, ``model``, ``ticket`` and so on
    as attributes.
    """

    def __init__(self, study: Study, config: Config):
        self.study, self.config = study, config
        self.root = f"{config.results_dir}/{study.name}"
        self.fingerprints = Fingerprints(study)

    # Where files are. Every path tells which rule made the file.

    def data(self, dataset: str, data: str) -> str:
        """A version of a dataset."""
        return f"{self.root}/data/{dataset}/{data}.safetensors"

    def initial(self, dataset: str, model: str, seed: int | str) -> str:
        """Initial weights."""
        return f"{self.root}/weights/{dataset}/{model}/seed{seed}/init.safetensors"

    def pretrained(self, dataset: str, model: str, seed: int | str, data: str, file: str) -> str:
        """A file of a pretraining: ``trained``, ``epoch<k>``, with its ending."""
        return f"{self.root}/weights/{dataset}/{model}/seed{seed}/{data}/{file}"

    def mask(
        self, dataset: str, model: str, pruner: str, data: str, seed: int | str, sparsity: Any
    ) -> str:
        """A mask."""
        folder = f"{self.root}/masks/{dataset}/{model}/{pruner}/{data}/seed{seed}"
        return f"{folder}/sparsity{sparsity}.safetensors"

    def metrics(self) -> list[str]:
        """The results of every run of the study."""
        return [f"{self.root}/{run.path}/metrics.json" for run in self.study.runs()]

    # What a job needs: pairs of path and the fingerprint that the file should have.

    def weights_to_score(self, w) -> tuple[str, str]:
        """The weights that a pruner looks at."""
        if self.study.all_pruners[w.pruner].weights == "initial":
            return self._initial(w)
        return self._pretrained(w, w.data, "trained.safetensors")

    def weights_to_pretrain(self, w) -> tuple[str, str]:
        """The initial weights of a pretraining."""
        return self._initial(w)

    def weights_to_start(self, w) -> tuple[str, str]:
        """The weights that a ticket starts from."""
        start = self.study.all_tickets[w.ticket].weights
        if start == "initial":
            return self._initial(w)
        epoch = self.study.rewind_epoch_of(w.dataset, w.model, w.ticket)
        file = "trained.safetensors" if start == "trained" else f"epoch{epoch}.safetensors"
        return self._pretrained(w, self._data_of(w), file)

    def mask_to_train(self, w) -> tuple[str, str]:
        """The mask of a ticket."""
        pruner = self.study.all_tickets[w.ticket].pruner
        cell = (w.dataset, w.model, pruner, self._data_of(w), int(w.seed))
        return self.mask(*cell, w.sparsity), self.fingerprints.masks(*cell)

    def _data_of(self, w) -> str:
        pruner = self.study.all_tickets[w.ticket].pruner
        return self.study.data_of(w.dataset, w.model, pruner, w.check)

    def seen_data(self, w) -> tuple[str, str]:
        """The version of the dataset that a job reads."""
        return self.data(w.dataset, w.data), self.fingerprints.data(w.dataset, w.data)

    def clean_data(self, w) -> tuple[str, str]:
        """The clean dataset."""
        return self.data(w.dataset, "clean"), self.fingerprints.data(w.dataset, "clean")

    def _initial(self, w) -> tuple[str, str]:
        cell = (w.dataset, w.model, int(w.seed))
        return self.initial(*cell), self.fingerprints.initial(*cell)

    def _pretrained(self, w, data: str, file: str) -> tuple[str, str]:
        cell = (w.dataset, w.model, int(w.seed), data)
        return self.pretrained(*cell, file), self.fingerprints.pretrained(*cell)

    def pretraining_results(self, w) -> tuple[str, str]:
        """The metrics of a clean pretraining, which are those of the dense run."""
        return self._pretrained(w, "clean", "metrics.json")

    def results(self) -> list[tuple[str, str]]:
        """The metrics of every run and the fingerprints that they should have."""
        runs = self.study.runs()
        return list(zip(self.metrics(), map(self.fingerprints.run, runs), strict=True))

    def is_settled(self) -> bool:
        """Whether every result is there, made by today's settings and code."""
        return all(recorded(path) == today for path, today in self.results())

    # Command lines, without inputs, outputs and logs.

    def download_options(self, w) -> str:
        """Options of download.py."""
        definition = self.study.datasets[w.dataset].model_dump()
        mirrors = self.config.mirrors.get(w.dataset)
        return command_options({**definition, "mirrors": mirrors})

    def corrupt_options(self, w) -> str:
        """Options of corrupt.py."""
        options = self.study.options_of_data(w.data)
        values = {"check": check_of_data(w.data), "seed": self.study.data_seed}
        return command_options({**values, **options})

    def initialise_options(self, w) -> str:
        """Options of initialise.py."""
        spec = self.study.models[w.model]
        values = {"architecture": spec.architecture or w.model, "width": spec.width}
        return command_options({**values, "seed": w.seed})

    def pretrain_options(self, w) -> str:
        """Options of pretrain.py."""
        cell = {"ticket": "dense", "check": check_of_data(w.data), "sparsity": 0}
        settings = self.study.pretraining_of(w.dataset, w.model).model_dump()
        snapshots = self.study.rewind_epochs or None
        return self._training_options(w, cell, settings, snapshots=snapshots)

    def retrain_options(self, w) -> str:
        """Options of retrain.py."""
        where = (w.dataset, w.model, w.ticket)
        cell = {"ticket": w.ticket, "check": w.check, "sparsity": w.sparsity}
        rewound = self.study.all_tickets[w.ticket].schedule == "rewound"
        return self._training_options(
            w,
            cell,
            self.study.retraining_of(*where).model_dump(),
            retrain_epochs=self.study.retrain_epochs_of(*where),
            first_epoch=self.study.rewind_epoch_of(*where) if rewound else 0,
            keep_weights=self.config.keep_weights,
            **self.study.check_options.get(w.check, {}),
        )

    def _training_options(self, w, cell: dict, settings: dict, **more) -> str:
        names = {"study": self.study.name, "dataset": w.dataset, "model": w.model, **cell}
        return command_options({**names, "seed": w.seed, **settings, **more})

    def prune_options(self, w) -> str:
        """Options of prune.py."""
        sparsities = [f"{s:g}" for s in self.study.sparsities]
        return command_options({**self._pruner_options(w), "sparsities": sparsities})

    def prune_iteratively_options(self, w) -> str:
        """Options of prune_iteratively.py."""
        pruner = self.study.all_pruners[w.pruner]
        training = self.study.pretraining_of(w.dataset, w.model).model_dump()
        values = {**self._pruner_options(w), "iterations": pruner.iterations, **training}
        return command_options({**values, "sparsity": w.sparsity})

    def _pruner_options(self, w) -> dict[str, Any]:
        pruner = self.study.all_pruners[w.pruner].model_dump(exclude={"weights", "iterations"})
        batch = self.study.pruning_batch_of(w.dataset, w.model, w.pruner).model_dump()
        return {**pruner, **batch, "seed": w.seed}

    def iterative_pruners(self) -> list[str]:
        """The pruners that train between their cuts."""
        return [name for name, p in self.study.all_pruners.items() if p.iterations > 1]

    def study_options(self) -> str:
        """Options of collect.py: the study, as this machine reads it."""
        config = self.config
        values = {"study": config.study, "results_dir": config.results_dir}
        datasets = json.dumps(config.datasets) if config.datasets else None
        return command_options({**values, "data_dir": config.data_dir, "datasets": datasets})

    def verdict_options(self) -> str:
        """Options of the scripts that judge."""
        return command_options(self.study.statistics.model_dump())

    def fingerprint_of_results(self) -> str:
        """One for all results together, and for the code that collects them."""
        results = [today for _, today in self.results()]
        return digest([results, code_of("jackpot.analysis.collect")])

    def code_of(self, *modules: str) -> str:
        """Fingerprint of source code; see ``jackpot.study.fingerprints.code_of``."""
        return code_of(*modules)

    def request(self, rule: str) -> dict[str, int | str]:
        """What a rule's jobs ask a cluster for; the study's word wins over config.yaml's."""
        return {**self.config.resources.of(rule), **self.study.resources.of(rule)}

    def run_of(self, w) -> Run:
        """The run that wildcards name."""
        cell = (w.dataset, w.model, w.ticket, w.check)
        return Run(*cell, float(w.sparsity), int(w.seed))
