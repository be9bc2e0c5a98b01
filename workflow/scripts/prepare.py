"""Read a dataset's source into one file of uint8 tensors, offline."""

from jackpot.cli import main, parser_of


def run() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--source", required=True, help="what download.py wrote")
    parser.add_argument("--out", required=True, help="clean.safetensors")
    parser.add_argument("--fingerprint", default="", help="given by Snakemake, stored in the file")
    args = parser.parse_args()

    from jackpot.data.sources import prepare

    prepare(args.source, args.out, fingerprint=args.fingerprint)


main(run)
