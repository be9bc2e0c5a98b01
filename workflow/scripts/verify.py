"""Make a random sample of runs again, from the dataset on, and compare them.

Bit for bit on processors of one kind, or with portable arithmetic; where a result was made on
another kind, by accuracy. Ends with status 1 if a run is not what it must be, or if accuracies
differ in the mean beyond chance.
"""

import random
import sys
import tempfile
from pathlib import Path

from jackpot.cli import main, parser_of, whole
from jackpot.study.options import add_place, plan_there


def run() -> None:
    parser = parser_of(__doc__)
    add_place(parser)
    parser.add_argument("--sample", type=whole(1), default=3, help="how many runs (default: 3)")
    parser.add_argument("--sample-seed", type=int, help="choose the same runs as before")
    parser.add_argument("--cores", type=whole(1), default=1, help="(default: 1)")
    args = parser.parse_args()
    plan, seed = plan_there(args), args.sample_seed

    from jackpot.running.verify import choose, moved, verify

    seed = random.randrange(2**31) if seed is None else seed
    runs = choose(plan, args.sample, seed)
    with tempfile.TemporaryDirectory(prefix="jackpot-verify-") as scratch:
        found = verify(plan, runs, Path(scratch), cores=args.cores)
    for comparison in found:
        print(comparison)
    same = sum(not comparison.differs for comparison in found)
    elsewhere = [c.change for c in found if c.change is not None]
    print(f"{same} of {len(found)} runs are the same (--sample-seed {seed})")
    if elsewhere:
        print(
            f"{len(elsewhere)} were made where other bits are to be expected: test accuracy is "
            f"{sum(elsewhere) / len(elsewhere):+.2f} points in the mean"
            + (", which is more than chance" if moved(found) else "")
        )
    sys.exit(1 if same + len(elsewhere) < len(found) or moved(found) else 0)


main(run)
