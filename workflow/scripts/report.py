"""Write a study's report: one self-contained HTML page."""

import tempfile
from pathlib import Path

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

    from jackpot.analysis import figures
    from jackpot.analysis.claims import evaluate_claims
    from jackpot.analysis.frames import read_table
    from jackpot.analysis.report import write_report
    from jackpot.analysis.reported import reported_for
    from jackpot.analysis.tables import write_tables
    from jackpot.storage import read_sealed

    runs = read_table(args.runs)
    verdicts = read_table(args.verdicts) if args.verdicts else None
    histories = read_table(args.histories) if args.histories else None
    layers = read_table(args.layers) if args.layers else None
    about = read_sealed(args.about) if args.about else None
    reported = reported_for(runs)
    with tempfile.TemporaryDirectory() as folder:
        drawn = [
            *figures.sanity_checks(runs, Path(folder) / "sanity_checks"),
            *figures.tickets(runs, Path(folder) / "tickets"),
        ]
        if layers is not None:
            drawn += figures.layer_densities(layers, Path(folder) / "layer_densities")
        if histories is not None:
            drawn += figures.learning_curves(histories, Path(folder) / "learning_curves")
        write_tables(runs, Path(folder) / "tables", verdicts=verdicts, reported=reported)
        write_report(
            args.out,
            runs=runs,
            verdicts=verdicts,
            claims=evaluate_claims(runs, args.margin, args.alpha),
            histories=histories,
            layers=layers,
            about=about,
            figures=drawn,
            tables_dir=Path(folder) / "tables",
            reported=reported,
        )
    print(f"report: {args.out}")


main(run)
