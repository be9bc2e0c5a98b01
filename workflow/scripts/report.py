"""Write a study's report: one self-contained HTML page."""

from jackpot.cli import add_statistics, main, parser_of


def run() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--runs", required=True, help="runs.csv")
    parser.add_argument("--verdicts", help="verdicts.csv")
    parser.add_argument("--histories", help="histories.csv")
    parser.add_argument("--layers", help="layers.csv")
    parser.add_argument("--about", help="about.json")
    parser.add_argument("--out", required=True, help="report.html")
    add_statistics(parser)
    args = parser.parse_args()

    from jackpot.analysis.design import Design
    from jackpot.stages.report import report

    design = Design(margin=args.margin, alpha=args.alpha)
    paths = ("out", "runs", "verdicts", "histories", "layers", "about")
    report(**{name: getattr(args, name) for name in paths}, design=design)


main(run)
