"""Spoil a dataset's training split as a data check says."""

from jackpot.checks import CHECKS
from jackpot.cli import main, parser_of


def run() -> None:
    parser = parser_of(__doc__)
    checks = [name for name, check in CHECKS.items() if check.spoils == "data"]
    parser.add_argument("--clean", required=True, help="clean.safetensors")
    parser.add_argument("--out", required=True, help="the file to write")
    parser.add_argument("--check", required=True, choices=checks)
    parser.add_argument("--scope", help="image, rows, rows_and_columns: what pixels are permuted")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fingerprint", default="", help="given by Snakemake, stored in the file")
    args = parser.parse_args()

    from jackpot.stages.corrupt import corrupt

    corrupt(
        args.out,
        clean=args.clean,
        check=args.check,
        seed=args.seed,
        options={"scope": args.scope} if args.scope else {},
        fingerprint=args.fingerprint,
    )


main(run)
