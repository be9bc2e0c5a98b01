"""Have a dataset's source at hand, checked by digest: the only step that uses the network."""

from jackpot.cli import add_settings, main, parser_of
from jackpot.study.parts import Dataset


def run() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--dataset", required=True, help="its name")
    parser.add_argument("--out", required=True, help="<data folder>/<dataset>/source-<...>.json")
    parser.add_argument("--mirrors", nargs="*", default=[], help="folders of other servers")
    add_settings(parser, Dataset)
    values = vars(parser.parse_args())
    values["options"] = dict(values["options"] or {})
    dataset, out, mirrors = (values.pop(key) for key in ("dataset", "out", "mirrors"))

    from jackpot.data.sources import fetch

    record = fetch(dataset, values, out, mirrors=mirrors)
    print(f"{dataset}: {record['path'] or 'bundled'}, {record['digest'] or 'no digest needed'}")


main(run)
