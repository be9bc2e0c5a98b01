"""Draw one figure from a tidy table, as SVG, PDF and PNG."""

from jackpot.cli import main, parser_of

FIGURES = ("verdicts", "sanity_checks", "tickets", "layer_densities", "learning_curves")


def run() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--figure", required=True, choices=FIGURES)
    parser.add_argument(
        "--table", required=True, help="verdicts.csv, runs.csv, layers.csv or histories.csv"
    )
    parser.add_argument("--out", required=True, help="path without its ending")
    args = parser.parse_args()

    from jackpot.stages.draw import draw

    draw(**vars(args))


main(run)
