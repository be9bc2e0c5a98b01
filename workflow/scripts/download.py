"""Have a dataset's source at hand, checked by digest: the only step that uses the network."""

from argparse import BooleanOptionalAction

from jackpot.cli import add_mapping, main, parser_of
from jackpot.data.kinds import kind_names


def run() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--dataset", required=True, help="its name")
    parser.add_argument("--out", required=True, help="<data folder>/<dataset>/source-<...>.json")
    parser.add_argument(
        "--kind", required=True, help=f"{', '.join(kind_names())}, or file.py:function"
    )
    parser.add_argument("--path", help="a local archive or folder, used where it lies")
    parser.add_argument("--url", nargs="*", help="addresses, tried in order")
    parser.add_argument("--mirrors", nargs="*", default=[], help="folders of other servers")
    parser.add_argument("--sha256", help="digest the archive must have")
    parser.add_argument("--md5", help="digest the archive must have, if no sha256")
    parser.add_argument("--test-fraction", type=float, help="digits: share of test images")
    parser.add_argument("--size", type=int, help="image_folder: side in pixels")
    parser.add_argument("--channels", type=int, help="image_folder: 1 or 3")
    add_mapping(parser, "--options", "keyword arguments of your own kind's function")
    parser.add_argument(
        "--verify",
        action=BooleanOptionalAction,
        help="--no-verify: take a local copy whatever its digest",
    )
    parser.add_argument("--version", type=int, help="of the files at --path; decides nothing")
    values = vars(parser.parse_args())
    values["options"] = dict(values["options"])
    dataset, out, mirrors = (values.pop(key) for key in ("dataset", "out", "mirrors"))

    from jackpot.data.sources import fetch

    record = fetch(dataset, values, out, mirrors=mirrors)
    print(f"{dataset}: {record['path'] or 'bundled'}, {record['digest'] or 'no digest needed'}")


main(run)
