"""Train a dense network from its initial weights, keeping the epochs that tickets rewind to."""

from jackpot.cli import add_training, main, parser_of, settings_from, whole
from jackpot.settings import Training


def run() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--clean", required=True, help="the clean dataset, for testing")
    parser.add_argument("--data", required=True, help="the dataset to train on; may be the same")
    parser.add_argument("--weights", required=True, help="init.safetensors")
    parser.add_argument("--out", required=True, help="folder for weights, metrics and history")
    parser.add_argument("--snapshots", type=whole(0), nargs="*", default=[], help="epochs to keep")
    add_training(parser)
    args = parser.parse_args()
    settings = settings_from(args, Training)
    if max(args.snapshots, default=0) > settings.epochs:
        parser.error(f"argument --snapshots: there are only {settings.epochs} epochs")

    from jackpot.running.arguments import resume_file_of, run_of
    from jackpot.running.device import job_device
    from jackpot.running.finished import train_or_restore
    from jackpot.stages.pretrain import pretrain

    names = ["trained.safetensors", *(f"epoch{epoch}.safetensors" for epoch in args.snapshots)]

    def training() -> str:
        device = job_device(args.device, args.threads, settings.precision)
        return pretrain(
            args.out,
            run=run_of(args),
            clean=args.clean,
            data=args.data,
            initial=args.weights,
            settings=settings,
            snapshots=tuple(args.snapshots),
            device=device,
            resume=resume_file_of(args, device),
            fingerprint=args.fingerprint,
        )

    train_or_restore(args, training, names)


main(run)
