"""List what other code or other settings than today's made, with the reason for each file.

Ends with status 1 if there is any, so that a script can ask.
"""

import sys

from jackpot.cli import main, parser_of
from jackpot.study.options import add_place, plan_there


def run() -> None:
    parser = parser_of(__doc__)
    add_place(parser)
    plan = plan_there(parser.parse_args())

    from jackpot.study.stale import findings

    found = list(findings(plan))
    for finding in found:
        print(f"{finding.path}: {finding.why}")
    print(f"{plan.root}: {len(found)} files are not today's, of {len(plan.files())} in the study")
    sys.exit(1 if found else 0)


main(run)
