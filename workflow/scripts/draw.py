"""Draw one figure from a tidy table, as SVG, PDF and PNG."""

from jackpot.cli import add_mapping, main, parser_of
from jackpot.vocabulary import SOURCE_OF_FIGURE


def run() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--figure", required=True, choices=SOURCE_OF_FIGURE)
    parser.add_argument(
        "--table", required=True, help="verdicts.csv, runs.csv, layers.csv or histories.csv"
    )
    parser.add_argument("--out", required=True, help="path without its ending")
    add_mapping(parser, "--ingredients", "what checks of your own spoil, as NAME=INGREDIENT")
    args = parser.parse_args()

    from jackpot.stages.draw import draw

    draw(args.figure, args.table, args.out, dict(args.ingredients))


main(run)
