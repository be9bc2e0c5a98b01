"""Spoil a dataset's training split as a data check says."""

from jackpot.checks import CHECKS
from jackpot.cli import add_check, check_of, main, options_of_check, parser_of


def run() -> None:
    parser = parser_of(__doc__)
    checks = [name for name, check in CHECKS.items() if "data" in check.edits]
    parser.add_argument("--clean", required=True, help="clean.safetensors")
    parser.add_argument("--out", required=True, help="the file to write")
    parser.add_argument("--check", required=True, help=f"{', '.join(checks)}, or your own")
    add_check(parser)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fingerprint", default="", help="given by Snakemake, stored in the file")
    args = parser.parse_args()
    if "data" not in check_of(parser, args).edits:
        parser.error(f"argument --check: {args.check} does not spoil data")

    from jackpot.stages.corrupt import corrupt

    corrupt(
        args.out,
        clean=args.clean,
        check=args.check,
        seed=args.seed,
        own_checks=dict(args.own_checks),
        options=options_of_check(args),
        fingerprint=args.fingerprint,
    )


main(run)
