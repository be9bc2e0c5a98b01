"""Learning-rate schedules, a value an epoch."""

from jackpot.settings import Training


def learning_rate(settings: Training, epoch: int) -> float:
    """The learning rate of epoch ``epoch`` (0-based, of ``settings.epochs``).

    Step decay multiplies by ``factor`` at each milestone, a fraction of ``epochs``; linear decay
    goes from ``learning_rate`` at epoch 0 towards 0 at ``epochs``. A retraining that runs past the
    schedule's end stays at its last value (mlrc2020 retrains 160 epochs from epoch 40 of 160).
    """
    epoch = min(epoch, settings.epochs - 1)
    if settings.decay == "linear":
        return settings.learning_rate * (1 - epoch / settings.epochs)
    passed = sum(epoch >= milestone * settings.epochs for milestone in settings.milestones)
    return settings.learning_rate * settings.factor**passed
