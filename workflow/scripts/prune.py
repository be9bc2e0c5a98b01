"""Score the weights once and cut masks at every sparsity."""

from jackpot.checks import CHECKS
from jackpot.cli import (
    add_check,
    add_machine,
    add_settings,
    check_of,
    main,
    options_of_check,
    parser_of,
    settings_from,
)
from jackpot.settings import Pruner, PruningBatch


def run() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--data", required=True, help="what the pruner sees")
    parser.add_argument("--weights", required=True, help="the weights that are scored")
    parser.add_argument("--out", required=True, help="folder for sparsity<s>.safetensors")
    parser.add_argument("--sparsities", type=float, nargs="+", required=True)
    parser.add_argument("--seed", type=int, default=0)
    checks = [name for name, check in CHECKS.items() if "scores" in check.edits]
    parser.add_argument("--check", default="none", help=f"{', '.join(checks)}, or your own")
    add_check(parser)
    add_settings(parser, Pruner, without=("weights", "iterations"))
    add_settings(parser, PruningBatch)
    add_machine(parser)
    args = parser.parse_args()
    edits = check_of(parser, args).edits
    if edits and "scores" not in edits:
        parser.error(f"argument --check: {args.check} does not spoil scores")
    pruner = settings_from(args, Pruner, without=("weights", "iterations"))
    batch = settings_from(args, PruningBatch)

    from jackpot.running.device import job_device
    from jackpot.stages.prune import prune

    prune(
        args.out,
        data=args.data,
        weights=args.weights,
        pruner=pruner,
        batch=batch,
        sparsities=args.sparsities,
        seed=args.seed,
        check=args.check,
        own_checks=dict(args.own_checks),
        check_options=options_of_check(args),
        device=job_device(args.device, args.threads),
        fingerprint=args.fingerprint,
    )


main(run)
