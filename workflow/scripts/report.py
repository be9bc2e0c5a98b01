"""Write a study's report: one self-contained HTML page."""

from jackpot.cli import main, parser_of
from jackpot.study.options import add_study, take_plan


def run() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--runs", required=True, help="runs.csv")
    parser.add_argument("--verdicts", required=True, help="verdicts.csv")
    parser.add_argument("--layers", required=True, help="layers.csv")
    parser.add_argument("--about", required=True, help="about.json")
    parser.add_argument("--figures", nargs="+", required=True, help="files that draw.py wrote")
    parser.add_argument("--tables", nargs="+", required=True, help="files that tables.py wrote")
    parser.add_argument("--out", required=True, help="report.html")
    add_study(parser)
    args = parser.parse_args()
    design = take_plan(args).design()

    from jackpot.analysis.design import Design
    from jackpot.stages.report import report

    report(**vars(args), design=Design(**design))


main(run)
