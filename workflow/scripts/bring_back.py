"""Bring published results back as finished work, so that Snakemake goes on from there.

A result is taken only if today's study and code would make it, which its fingerprint tells. Ends
with status 1 if one was left out.
"""

import sys

from jackpot.cli import main, parser_of
from jackpot.study.options import PUBLISHED, add_place, plan_there


def run() -> None:
    parser = parser_of(__doc__)
    add_place(parser)
    parser.add_argument(
        "--published", help=f"where publish.py wrote (default: {PUBLISHED}/<study's name>)"
    )
    args = parser.parse_args()
    plan = plan_there(args)

    from jackpot.running.published import TAKEN, bring_back
    from jackpot.running.results_folder import hold

    hold(plan.root)
    outcome = bring_back(plan, args.published or f"{PUBLISHED}/{plan.study.name}")
    for words, number in outcome.items():
        print(f"{number} results " + (words if words in TAKEN else f"left out: {words}"))
    sys.exit(0 if set(outcome) <= set(TAKEN) else 1)


main(run)
