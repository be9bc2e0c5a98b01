"""Write a study's report: one self-contained HTML page."""

from jackpot.cli import main, parser_of
from jackpot.study.options import add_study, take_plan


def run() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--runs", required=True, help="runs.csv")
    parser.add_argument("--verdicts", help="verdicts.csv")
    parser.add_argument("--histories", help="histories.csv")
    parser.add_argument("--layers", help="layers.csv")
    parser.add_argument("--about", help="about.json")
    parser.add_argument("--out", required=True, help="report.html")
    add_study(parser)
    args = parser.parse_args()
    design = take_plan(args).design()

    from jackpot.analysis.design import Design
    from jackpot.stages.report import report

    report(**vars(args), design=Design(**design))


main(run)
