"""Judge every check against its ticket left alone: verdicts.csv from runs.csv."""

from jackpot.cli import main, parser_of
from jackpot.study.options import add_study, take_plan


def run() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--runs", required=True, help="runs.csv")
    parser.add_argument("--out", required=True, help="verdicts.csv")
    add_study(parser)
    args = parser.parse_args()
    design = take_plan(args).design()

    from jackpot.analysis.design import Design
    from jackpot.stages.verdicts import judge

    print(judge(**vars(args), design=Design(**design)))


main(run)
