"""Judge every check against its ticket left alone: verdicts.csv from runs.csv."""

from jackpot.cli import add_statistics, main, parser_of


def run() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--runs", required=True, help="runs.csv")
    parser.add_argument("--out", required=True, help="verdicts.csv")
    add_statistics(parser)
    args = parser.parse_args()

    from jackpot.analysis.design import Design
    from jackpot.stages.verdicts import judge

    design = Design(margin=args.margin, alpha=args.alpha)
    judge(args.runs, args.out, design)


main(run)
