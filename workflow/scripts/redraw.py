"""Make the tables, verdicts, figures and pages of published studies anew from their results.

Ends with status 1 if a table of runs, verdicts or accuracies is not the published one.
"""

import sys
from pathlib import Path

from jackpot.cli import main, parser_of
from jackpot.errors import JackpotError
from jackpot.study.options import PUBLISHED


def run() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--published", default=PUBLISHED, help=f"(default: {PUBLISHED})")
    parser.add_argument("--out", default="results/redrawn", help="(default: results/redrawn)")
    args = parser.parse_args()

    from jackpot.report.findings import published
    from jackpot.running.published import RESULTS, redraw

    folders = published(args.published)
    alone = [path.parent for path in sorted(Path(args.published).glob(f"*/{RESULTS}"))]
    if not folders and not alone:
        raise JackpotError(
            f"{args.published}: nothing is published there. Give the folder that holds a folder "
            "for each published study (publish.py writes one)."
        )
    for folder in alone:
        if folder not in folders:
            print(f"{folder}: was published without tables, so there are none to make anew")
    status = 0
    for folder in folders:
        out = Path(args.out, folder.name)
        different = redraw(folder, out)
        told = f"not as published: {', '.join(different)}" if different else "as published"
        print(f"{out}: tables are {told}")
        status |= bool(different)
    sys.exit(status)


main(run)
