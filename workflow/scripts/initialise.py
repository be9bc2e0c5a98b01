"""Draw the initial weights that all tickets of a seed share."""

from jackpot.architectures import architecture_names
from jackpot.cli import add_settings, main, parser_of
from jackpot.study.model import Model


def run() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--data", required=True, help="clean.safetensors: classes and channels")
    parser.add_argument("--out", required=True, help="init.safetensors")
    parser.add_argument("--architecture", required=True, choices=architecture_names())
    add_settings(parser, Model, without=("architecture",))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fingerprint", default="", help="given by Snakemake, stored in the file")
    args = parser.parse_args()

    from jackpot.stages.initialise import initialise

    initialise(**vars(args))


main(run)
