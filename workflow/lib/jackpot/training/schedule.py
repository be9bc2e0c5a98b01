"""Learning-rate schedules, a value an epoch."""

from jackpot.settings import Training


def learning_rate(settings: Training, epoch: int, first_epoch: int = 0) -> float:
    """The learning rate of epoch ``epoch`` (0-based, of ``settings.epochs``).

    Step decay multiplies by ``factor`` at each milestone, a fraction of ``epochs``. Linear decay
    goes from ``learning_rate`` at epoch 0 towards 0 at ``epochs``; ``linear_to_zero`` has at every
    epoch what it has at the next (mlrc2020 steps its scheduler before the epoch). A retraining
    that runs past the schedule's end stays at its last value (mlrc2020 retrains 160 epochs from
    epoch 40 of 160).

    Args:
        first_epoch: where the training began. It decides only with ``missed_milestones``: the
            released codes act in the very epoch rounded down, or not at all.
    """
    epoch = min(epoch, settings.epochs - 1)
    if settings.decay != "step":
        ahead = settings.decay == "linear_to_zero"
        return settings.learning_rate * (1 - (epoch + ahead) / settings.epochs)
    # Rounded, as 0.55 * 100 is a little above 55.
    milestones = sorted(round(share * settings.epochs, 6) for share in settings.milestones)
    if settings.missed_milestones is None:
        passed = sum(epoch >= milestone for milestone in milestones)
    else:
        hit = [n for n, m in enumerate(milestones, 1) if first_epoch <= int(m) <= epoch]
        passed = len(hit) if settings.missed_milestones == "multiply" else max(hit, default=0)
    return settings.learning_rate * settings.factor**passed
