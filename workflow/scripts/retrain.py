"""Train a ticket: its mask and starting weights, edited as its check says."""

from argparse import BooleanOptionalAction
from pathlib import Path

from jackpot.cli import (
    add_check,
    add_training,
    check_of,
    main,
    options_of_check,
    parser_of,
    settings_from,
    whole,
)
from jackpot.settings import Training


def run() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--clean", required=True, help="the clean dataset")
    parser.add_argument("--weights", required=True, help="starting weights")
    parser.add_argument("--mask", required=True, help="the pruner's mask")
    parser.add_argument("--out", required=True, help="folder for metrics and history")
    parser.add_argument(
        "--retrain-epochs", type=whole(1), help="epochs to train (default: --epochs)"
    )
    parser.add_argument("--first-epoch", type=whole(0), default=0, help="where the schedule starts")
    parser.add_argument(
        "--keep-weights", action=BooleanOptionalAction, help="write weights.safetensors"
    )
    add_check(parser)
    add_training(parser)
    args = parser.parse_args()
    check_of(parser, args)
    settings = settings_from(args, Training)

    from jackpot.files.tensors import load_mask
    from jackpot.running.arguments import resume_file_of, run_of
    from jackpot.running.device import job_device
    from jackpot.running.finished import train_or_restore
    from jackpot.stages.retrain import retrain

    names = ["weights.safetensors"] if args.keep_weights else []
    if not args.keep_weights:
        # Those of an earlier training are not of this one.
        Path(args.out, "weights.safetensors").unlink(missing_ok=True)

    def training() -> str:
        device = job_device(args.device, args.threads, settings.precision)
        return retrain(
            args.out,
            run=run_of(args, load_mask(args.mask)[1].get("sparsity", 0.0)),
            clean=args.clean,
            weights=args.weights,
            mask=args.mask,
            own_checks=dict(args.own_checks),
            check_options=options_of_check(args),
            settings=settings,
            epochs=args.retrain_epochs or settings.epochs,
            first_epoch=args.first_epoch,
            device=device,
            keep_weights=args.keep_weights,
            resume=resume_file_of(args, device),
            fingerprint=args.fingerprint,
        )

    train_or_restore(args, training, names)


main(run)
