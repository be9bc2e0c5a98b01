"""What the papers claim, and how each claim is tested.

The claims are su2020's ("Random Tickets can Win the Jackpot", arXiv 2009.11094; its abstract
numbers findings 1 and 2), which mlrc2020 set out to reproduce, and those of frankle2021 ("Pruning
Neural Networks at Initialization: Why Are We Missing the Mark?", arXiv 2009.08576).
"""

from jackpot.analysis.claim import (
    GAIN,
    HARM,
    Checks,
    Claim,
    TicketPairs,
    against_reported,
    agrees,
    not_worse,
)

DATA_CHECKS = ("random_labels", "random_pixels", "corrupted_data")
INITIAL = ("snip", "grasp")
AT_INITIALIZATION = ("snip", "grasp", "synflow", "magnitude_initial")
PARTIALLY_TRAINED = ("weight_rewinding", "lr_rewinding")

_HELD_IF_SAFE = (
    "Held in a cell that is not worse by the margin or more (one-sided test, every cell at alpha); "
    "worse by more than the margin (after Holm) is a failure."
)
_HELD_IF_HARMED = (
    "Held in a cell that is degraded (every cell at alpha); unaffected or improved (after Holm) is "
    "a failure, and so is harm beyond doubt that is smaller than the margin beyond doubt."
)
_HELD_IF_BETTER = (
    "Held in a cell whose verdict is improved (every cell at alpha); degraded, or a difference "
    "within the margin (after Holm), is a failure, even if there is a gain beyond doubt."
)

CLAIMS = (
    Claim(
        "initial_tickets_do_not_need_data",
        "SNIP and GraSP do not need the data: spoiling what they see does no harm.",
        "su2020, abstract, finding 1",
        _HELD_IF_SAFE,
        Checks(INITIAL, DATA_CHECKS, alike=True),
        not_worse,
    ),
    Claim(
        "initial_tickets_do_not_need_positions",
        "SNIP and GraSP do not need the positions: rearranging the mask in each layer does no "
        "harm.",
        "su2020, abstract, finding 2",
        _HELD_IF_SAFE,
        Checks(INITIAL, ("rearranged",)),
        not_worse,
    ),
    Claim(
        "lottery_does_not_need_data",
        "Lottery tickets restarted at initial weights do not need the data.",
        "su2020, abstract, finding 1 (lottery tickets are among its initial tickets)",
        _HELD_IF_SAFE,
        Checks(("lottery",), DATA_CHECKS, alike=True),
        not_worse,
    ),
    Claim(
        "lottery_does_not_need_positions",
        "Lottery tickets restarted at initial weights do not need the positions.",
        "su2020, abstract, finding 2 (lottery tickets are among its initial tickets)",
        _HELD_IF_SAFE,
        Checks(("lottery",), ("rearranged",)),
        not_worse,
    ),
    Claim(
        "random_tickets_keep_up",
        "Random tickets keep up with SNIP and GraSP.",
        "su2020, abstract; mlrc2020, README, Random Tickets",
        "Random against SNIP and GraSP, paired by seed. Held in a cell where random is not worse "
        "by the margin or more (one-sided test, every cell at alpha); worse by more than the "
        "margin (after Holm) is a failure.",
        TicketPairs("random", INITIAL),
        not_worse,
    ),
    Claim(
        "partially_trained_tickets_need_weights",
        "Partially-trained tickets need the weights: shuffling them in each layer does harm.",
        "su2020, section 5 (by its abstract one existing method passes); mlrc2020, README, "
        "Partially-trained Tickets",
        _HELD_IF_HARMED,
        Checks(PARTIALLY_TRAINED, ("shuffled_weights",)),
        HARM,
    ),
    Claim(
        "partially_trained_tickets_need_data",
        "Partially-trained tickets need the data: spoiled labels or pixels do harm.",
        "su2020, section 5 (by its abstract one existing method passes)",
        _HELD_IF_HARMED,
        Checks(PARTIALLY_TRAINED, DATA_CHECKS, alike=True),
        HARM,
    ),
    Claim(
        "partially_trained_tickets_need_all_data",
        "Partially-trained tickets need all of the data: pretraining on half of it does harm.",
        "su2020, section 5 (by its abstract one existing method passes); mlrc2020, README, "
        "Partially-trained Tickets",
        _HELD_IF_HARMED,
        Checks(PARTIALLY_TRAINED, ("half_dataset",)),
        HARM,
    ),
    Claim(
        "hybrid_tickets_improve_on_lr_rewinding",
        "Hybrid tickets improve on the learning-rate rewinding tickets that they are made of.",
        'su2020, abstract ("achieves further improvement")',
        f"Hybrid against learning-rate rewinding, paired by seed. {_HELD_IF_BETTER}",
        TicketPairs("hybrid", ("lr_rewinding",)),
        GAIN,
    ),
    Claim(
        "hybrid_tickets_improve_on_random",
        "Hybrid tickets improve on random tickets.",
        "su2020 and mlrc2020, by their tables of both",
        f"Hybrid against random, paired by seed. {_HELD_IF_BETTER}",
        TicketPairs("hybrid", ("random",)),
        GAIN,
    ),
    Claim(
        "pruning_at_initialization_needs_only_layer_counts",
        "SNIP, GraSP, SynFlow and magnitude at initialization need neither the positions in a "
        "layer nor the initial weights: rearranging the mask or drawing new weights does no harm.",
        "frankle2021, abstract",
        _HELD_IF_SAFE,
        Checks(AT_INITIALIZATION, ("rearranged", "reinitialized")),
        not_worse,
    ),
    Claim(
        "pruning_after_training_needs_more_than_layer_counts",
        "Pruning after training (by magnitude, trained weights kept) needs both: rearranging the "
        "mask or drawing new weights does harm.",
        'frankle2021, abstract ("unlike pruning after training")',
        _HELD_IF_HARMED,
        # Their magnitude pruning after training rewinds the learning rate (Renda et al. 2020).
        Checks(("lr_rewinding",), ("rearranged", "reinitialized")),
        HARM,
    ),
    Claim(
        "ours_agree_with_reported",
        "Our accuracies are those that su2020 and mlrc2020 reported.",
        "su2020 and mlrc2020, as listed in reported.csv",
        "Our runs against each reported value, by what one more run of ours would give. Held in a "
        "cell where the difference is within the margin beyond doubt, or no larger than the "
        "reported spread where there is one; beyond the margin (after Holm) is a failure.",
        against_reported,
        agrees,
    ),
)
