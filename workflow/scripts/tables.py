"""Write a table for every family of tickets, and one of verdicts: CSV, Markdown, LaTeX."""

from jackpot.cli import add_statistics, main, parser_of


def run() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--runs", required=True, help="runs.csv")
    parser.add_argument("--out", required=True, help="folder to write to")
    add_statistics(parser)
    args = parser.parse_args()

    from jackpot.analysis.design import Design
    from jackpot.stages.tables import tabulate

    design = Design(margin=args.margin, alpha=args.alpha)
    tabulate(args.runs, args.out, design)


main(run)
