"""Have a dataset's source at hand, checked by digest: the only step that uses the network."""

from jackpot.cli import main, parser_of


def run() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--dataset", required=True, help="its name")
    parser.add_argument("--out", required=True, help="<data folder>/<dataset>/source-<...>.json")
    parser.add_argument("--kind", required=True, help="digits, cifar10, image_folder, ...")
    parser.add_argument("--path", help="a local archive or folder, used where it lies")
    parser.add_argument("--url", nargs="*", help="addresses, tried in order")
    parser.add_argument("--mirrors", nargs="*", default=[], help="folders of other servers")
    parser.add_argument("--sha256", help="digest the archive must have")
    parser.add_argument("--md5", help="digest the archive must have, if no sha256")
    parser.add_argument("--test-fraction", type=float, help="digits: share of test images")
    parser.add_argument("--size", type=int, help="image_folder: side in pixels")
    parser.add_argument("--channels", type=int, help="image_folder: 1 or 3")
    values = vars(parser.parse_args())
    dataset, out, mirrors = (values.pop(key) for key in ("dataset", "out", "mirrors"))

    from jackpot.data.sources import fetch

    record = fetch(dataset, values, out, mirrors=mirrors)
    print(f"{dataset}: {record['path'] or 'bundled'}, {record['digest'] or 'no digest needed'}")


main(run)
