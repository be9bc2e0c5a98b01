"""Collect a study's results into runs.csv, histories.csv, layers.csv and about.json."""

from jackpot.cli import main, parser_of
from jackpot.study.options import add_study, take_plan


def run() -> None:
    parser = parser_of(__doc__)
    add_study(parser)
    parser.add_argument("--partial", action="store_true", help="leave out runs without a result")
    args = parser.parse_args()
    plan = take_plan(args)

    from jackpot.running.links import forget_all_links
    from jackpot.stages.collect import collect

    collect(plan, partial=args.partial)
    if not args.partial:
        forget_all_links(plan.root)


main(run)
