"""Decide which cells of a study go on to its next look, from runs.csv."""

from jackpot.cli import main, parser_of
from jackpot.study.options import add_study, take_plan


def run() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--runs", required=True, help="runs.csv")
    parser.add_argument("--out", required=True, help="the look's file")
    add_study(parser)
    args = parser.parse_args()
    plan = take_plan(args)

    from jackpot.stages.look import look

    look(plan, args.runs, args.out)


main(run)
