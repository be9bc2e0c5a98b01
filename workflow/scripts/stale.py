"""List what other code or other settings than today's made, with the reason for each file.

Ends with status 1 if there is any, so that a script can ask. Files that are not there are counted,
and leave the status as it is: a study may not have been run yet, and results can be brought back
without the weights and masks behind them.
"""

import sys
from pathlib import Path

from jackpot.cli import main, parser_of
from jackpot.study.options import add_place, plan_there


def run() -> None:
    parser = parser_of(__doc__)
    add_place(parser)
    parser.add_argument(
        "--digests",
        action="store_true",
        help="read every file whole and make the tables again: damaged and altered ones are listed",
    )
    args = parser.parse_args()
    plan = plan_there(args)

    from jackpot.study.stale import findings

    found = {finding.path: finding.why for finding in findings(plan)}
    if args.digests:
        from jackpot.running.damage import damage

        found |= {finding.path: finding.why for finding in damage(plan)}
    for path, why in found.items():
        print(f"{path}: {why}")
    known = plan.files()
    missing = sum(not Path(path).exists() for path in known)
    told = f"{plan.root}: {len(found)} files are not today's, of {len(known)} in the study"
    print(f"{told}; {missing} are not there yet" if missing else told)
    sys.exit(1 if found else 0)


main(run)
