"""Write a table for every family of tickets, and one of verdicts: CSV, Markdown, LaTeX."""

from jackpot.cli import add_statistics, main, parser_of


def run() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--runs", required=True, help="runs.csv")
    parser.add_argument("--out", required=True, help="folder to write to")
    add_statistics(parser)
    args = parser.parse_args()

    from jackpot.analysis.frames import read_table
    from jackpot.analysis.reported import reported_for
    from jackpot.analysis.statistics import verdicts
    from jackpot.analysis.tables import write_tables

    runs = read_table(args.runs)
    judged = verdicts(runs, args.margin, args.alpha)
    write_tables(runs, args.out, verdicts=judged, reported=reported_for(runs))


main(run)
