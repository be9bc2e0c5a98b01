"""Make the tables, verdicts, figures and pages of published studies anew from their results.

Ends with status 1 if a table of runs, verdicts or accuracies is not the published one.
"""

import sys
from pathlib import Path

from jackpot.cli import main, parser_of
from jackpot.study.options import PUBLISHED


def run() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--published", default=PUBLISHED, help=f"(default: {PUBLISHED})")
    parser.add_argument("--out", default="results/redrawn", help="(default: results/redrawn)")
    args = parser.parse_args()

    from jackpot.report.findings import published
    from jackpot.running.published import redraw

    status = 0
    for folder in published(args.published):
        out = Path(args.out, folder.name)
        different = redraw(folder, out)
        told = f"not as published: {', '.join(different)}" if different else "as published"
        print(f"{out}: tables are {told}")
        status |= bool(different)
    sys.exit(status)


main(run)
