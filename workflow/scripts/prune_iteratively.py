"""Train, prune and restart at the initial weights, several times over (lottery tickets)."""

from pathlib import Path

from jackpot.cli import add_machine, add_resume, add_settings, main, parser_of, settings_from
from jackpot.settings import Pruner, PruningBatch, Training


def run() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--clean", required=True, help="the clean dataset, for testing")
    parser.add_argument("--data", required=True, help="the dataset to train on; may be the same")
    parser.add_argument("--initial", required=True, help="init.safetensors")
    parser.add_argument("--weights", required=True, help="trained weights, which are cut first")
    parser.add_argument("--out", required=True, help="folder for sparsity<s>.safetensors")
    parser.add_argument("--sparsity", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    for settings in (Pruner, PruningBatch, Training):
        add_settings(parser, settings, without=("weights",))
    add_machine(parser)
    add_resume(parser)
    args = parser.parse_args()
    pruner = settings_from(args, Pruner, without=("weights",), weights="trained")
    batch, training = settings_from(args, PruningBatch), settings_from(args, Training)

    from jackpot.running.alone import alone
    from jackpot.running.arguments import forget_resume_files, resume_file_of
    from jackpot.running.device import job_device
    from jackpot.running.finished import has_mask
    from jackpot.stages.prune_iteratively import prune_iteratively

    with alone(args.resume_file):
        # Whoever was at it before may have ended well.
        if not has_mask(Path(args.out, f"sparsity{args.sparsity:g}.safetensors"), args.fingerprint):
            device = job_device(args.device, args.threads, training.precision)
            prune_iteratively(
                args.out,
                clean=args.clean,
                data=args.data,
                initial=args.initial,
                weights=args.weights,
                pruner=pruner,
                batch=batch,
                training=training,
                sparsity=args.sparsity,
                seed=args.seed,
                device=device,
                resume=resume_file_of(args, device),
                fingerprint=args.fingerprint,
            )
        forget_resume_files(args.resume_file)


main(run)
