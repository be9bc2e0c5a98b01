"""Write a study's results to a folder of small files: tables, pictures, and every result.

The results can be brought back as finished work, here or on another machine (bring_back.py).
"""

from jackpot.cli import main, parser_of
from jackpot.study.options import PUBLISHED, add_place, plan_there


def run() -> None:
    parser = parser_of(__doc__)
    add_place(parser)
    parser.add_argument("--to", help=f"(default: {PUBLISHED}/<study's name>)")
    args = parser.parse_args()
    plan = plan_there(args)

    from jackpot.running.published import publish

    folder = args.to or f"{PUBLISHED}/{plan.study.name}"
    number = publish(plan, folder)
    print(f"{folder}: {number} results, of a study of {len(plan.study.runs())} runs at most")


main(run)
