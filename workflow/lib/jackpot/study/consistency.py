"""Whether the parts of a study go together: names, seeds, epochs, draws and number formats."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from jackpot.checks import CHECKS, Check
from jackpot.pruning.scores import SCORES, uses_data
from jackpot.study.parts import Experiment
from jackpot.study.scopes import check_scopes, edits_of_ticket, one_of
from jackpot.study.tickets import PRUNERS, TICKETS, applicable_checks, applies
from jackpot.vocabulary import words

if TYPE_CHECKING:
    from jackpot.study.model import Study


def check_study(study: "Study") -> None:
    """Refuse a study whose parts do not go together.

    Raises:
        ValueError: saying which key, and what is allowed there.
    """
    _check_names(study)
    for i, experiment in enumerate(study.experiments):
        _check_experiment(study, f"experiments[{i}]", experiment)
        _check_seeds(study, f"experiments[{i}].seeds", experiment.seeds)
    _check_overrides(study)
    _check_rewinding(study)
    _check_draws(study)
    _check_arithmetic(study)


def _check_names(study: "Study") -> None:
    check_scopes(study.check_options, study.all_checks, "check_options: ")
    for name in study.checks:
        given = study.check_options.get(name, {})
        if lacking := [o for o in study.all_checks[name].required if o not in given]:
            raise ValueError(
                f"checks.{name}: needs the option {', '.join(lacking)}, which has no default; "
                f"give it in check_options.{name}"
            )
    for name, pruner in study.pruners.items():
        usual = PRUNERS.get(name)
        if usual and (pruner.score, pruner.weights) != (usual.score, usual.weights):
            raise ValueError(
                f"pruners.{name}: the built-in pruner of this name ranks {usual.weights} weights "
                f"by {usual.score}. Its other settings may change; for another score choose "
                "another name"
            )
    for name, ticket in study.tickets.items():
        # The papers' claims go by the names of tickets.
        if ticket != TICKETS.get(name, ticket):
            raise ValueError(f"tickets.{name}: {name} is a built-in ticket; choose another name")
        if ticket.pruner is not None:
            one_of(f"tickets.{name}.pruner: pruner", ticket.pruner, study.all_pruners)
    _check_labels("tickets", study.tickets, TICKETS)
    _check_labels("checks", study.checks, CHECKS)


def _check_labels(key: str, own: Iterable[str], built_in: Iterable[str]) -> None:
    """On the page and in figures two of one label could not be told from one another."""
    labels = {words(name).lower(): name for name in built_in}
    for name in own:
        known = labels.get(words(name).lower(), name)
        if known != name:
            raise ValueError(
                f"{key}.{name}: would read {words(name)!r} in tables and figures, as the built-in "
                f"{known} does; choose another name"
            )


def _check_overrides(study: "Study") -> None:
    for i, override in enumerate(study.overrides):
        known = {
            "dataset": study.datasets,
            "model": study.models,
            "ticket": study.all_tickets,
            "pruner": study.all_pruners,
        }
        for key, value in override.when.model_dump(exclude_none=True).items():
            for name in [value] if isinstance(value, str) else value:
                one_of(f"overrides[{i}].when.{key}: {key}", name, known[key])
        named = override.when.ticket or ()
        dense = [
            ticket
            for ticket in ([named] if isinstance(named, str) else named)
            if study.all_tickets[ticket].pruner is None
        ]
        if dense and override.retraining.model_fields_set:
            raise ValueError(
                f"overrides[{i}].retraining: {dense[0]} is the pretrained network itself, which is "
                "not trained again; use pretraining, and name no ticket"
            )
        if override.network is not None:
            one_of(f"overrides[{i}].network: model", override.network, study.models)
        spoiling = {name: c for name, c in study.all_checks.items() if "data" in c.edits}
        check_scopes(override.check_options, spoiling, f"overrides[{i}].check_options: ")


def _check_experiment(study: "Study", where: str, experiment: Experiment) -> None:
    for name in experiment.datasets or ():
        one_of(f"{where}.datasets: dataset", name, study.datasets)
    for name in experiment.models or ():
        one_of(f"{where}.models: model", name, study.models)
    for name in experiment.tickets:
        one_of(f"{where}.tickets: ticket", name, study.all_tickets)
        ticket = study.all_tickets[name]
        if ticket.pruner is not None and not experiment.sparsities:
            raise ValueError(f"{where}.sparsities: ticket {name!r} needs at least one sparsity")
        if experiment.checks == "all":
            continue
        for check in experiment.checks:
            try:
                found = study.check_of(check)
                # The checks of an experiment may stand beside a dense network, which has none.
                if ticket.pruner is not None:
                    check_applies(study, name, found)
            except ValueError as error:
                raise ValueError(f"{where}.checks: {error}") from None
            _check_shared_options(study, where, found)


def check_applies(study: "Study", name: str, check: Check) -> None:
    """Refuse a check of a ticket that has nothing which the check could spoil.

    Raises:
        ValueError: with the checks that apply.
    """
    ticket, pruner = study.all_tickets[name], study.pruner_of(name)
    if not applies(check, ticket, pruner):
        allowed = applicable_checks(ticket, pruner, study.all_checks)
        blind = pruner and "data" in check.edits and not uses_data(pruner.score)
        why = f" (its score {pruner.score} says USES_DATA = False)" if blind else ""
        raise ValueError(
            f"{check.name!r} does not apply to ticket {name!r}, which has no such ingredient{why}. "
            f"Allowed for it: {', '.join(allowed)}"
        )


def _check_shared_options(study: "Study", where: str, found: Check) -> None:
    """The checks that edit one ticket get their options together."""
    together = edits_of_ticket(found)
    for part in together:
        for option in study.check_options.get(part.name, {}):
            others = [o.name for o in together if o is not part and option in o.options]
            if others:
                raise ValueError(
                    f"{where}.checks: {found.name!r}: {part.name} and {others[0]} both have an "
                    f"option {option!r}, and check_options gives one for {part.name}. Rename it in "
                    "one of the two functions"
                )


def _check_seeds(study: "Study", where: str, seeds: list[int] | None) -> None:
    looks = study.statistics.looks
    if looks is None:
        if seeds is None:
            raise ValueError(f"{where}: this key is missing (or declare statistics.looks)")
        return
    if seeds is None:
        return
    if len(seeds) != looks[-1]:
        raise ValueError(
            f"{where}: {len(seeds)} seeds, where the last look of statistics.looks has "
            f"{looks[-1]}. Leave the key out for 0 to {looks[-1] - 1}"
        )
    if seeds != study.seed_order:
        raise ValueError(
            f"{where}: other seeds or another order than {study.seed_order}; with "
            "statistics.looks they are the same in every experiment"
        )


def _check_rewinding(study: "Study") -> None:
    cells = sorted({(r.dataset, r.model, r.ticket) for r in study.runs()})
    for dataset, model, name in cells:
        ticket = study.all_tickets[name]
        network = study.network_of(dataset, model, name)
        epochs = study.pretraining_of(dataset, network).epochs
        epoch = study.rewind_epoch_of(dataset, model, name)
        after = study.rewind_weights_epoch_of(dataset, model, name)
        if ticket.weights == "rewound" and after > epochs:
            raise ValueError(
                f"rewind_weights_epoch: {after} is after the end of pretraining; allowed for "
                f"{name} of {model} on {dataset}: 0 to {epochs}"
            )
        if "rewound" in (ticket.weights, ticket.schedule) and epoch >= epochs:
            raise ValueError(
                f"rewind_epoch: {epoch} is not before the end of pretraining; allowed for "
                f"{name} of {model} on {dataset}: 0 to {epochs - 1}"
            )
        if study.retrain_epochs_of(dataset, model, name) < 1:
            left = study.retraining_of(dataset, model, name).epochs
            raise ValueError(
                f"rewind_epoch: {epoch} leaves none of the {left} epochs that {name} of {model} on "
                f"{dataset} is retrained for. Rewind to an earlier one, or give retrain_epochs"
            )
    _check_snapshots(study, cells)


def _check_snapshots(study: "Study", cells: list[tuple[str, str, str]]) -> None:
    """Every pretraining keeps the weights of every epoch that some ticket of the study needs."""
    epoch_of = {
        cell: study.rewind_weights_epoch_of(*cell)
        for cell in cells
        if study.all_tickets[cell[2]].weights == "rewound"
    }
    last = max(epoch_of.values(), default=0)
    for dataset, model, name in cells:
        pruner, weights = study.pruner_of(name), study.all_tickets[name].weights
        is_pretrained = pruner is None or pruner.weights == "trained" or weights != "initial"
        network = study.network_of(dataset, model, name)
        epochs = study.pretraining_of(dataset, network).epochs
        if is_pretrained and epochs < last:
            needs = next(cell for cell, epoch in epoch_of.items() if epoch == last)
            raise ValueError(
                f"rewind_weights_epoch: {needs[2]} of {needs[1]} on {needs[0]} needs the weights "
                f"after epoch {last}, which every pretraining keeps, and that of {network} on "
                f"{dataset} has {epochs} epochs. Pretrain {network} for {last} or more, or run it "
                "in a study of its own"
            )


def _check_draws(study: "Study") -> None:
    for dataset, model, name in {(r.dataset, r.model, r.ticket) for r in study.runs()}:
        pruner = study.all_tickets[name].pruner
        if pruner is None:
            continue
        score = study.all_pruners[pruner].score
        batch = study.pruning_batch_of(dataset, study.network_of(dataset, model, name), pruner)
        drawn = batch.kind == "per_class" and batch.draws > 1 and uses_data(score)
        try:
            SCORES.check(score, ["draws"] if drawn else [])
        except ValueError as error:
            raise ValueError(
                f"pruning_batch.draws: {batch.draws} for pruner {pruner!r}: {error}"
            ) from None


def _check_arithmetic(study: "Study") -> None:
    changes = [c for o in study.overrides for c in (o.pretraining, o.retraining)]
    if study.arithmetic == "portable" and any(
        settings.precision == "bfloat16" for settings in (study.training, *changes)
    ):
        raise ValueError(
            "arithmetic: portable has no bfloat16, which AVX2 would emulate; allowed with "
            "precision: bfloat16 is native"
        )
