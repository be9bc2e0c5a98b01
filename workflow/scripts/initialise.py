"""Draw the initial weights that all tickets of a seed share."""

from jackpot.architectures import architecture_names
from jackpot.cli import add_arithmetic, add_mapping, add_settings, main, parser_of
from jackpot.study.parts import Model


def run() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--data", required=True, help="clean.safetensors: classes and channels")
    parser.add_argument("--out", required=True, help="init.safetensors")
    parser.add_argument(
        "--architecture",
        required=True,
        help=f"{', '.join(architecture_names())}, or your own file.py:function",
    )
    add_settings(parser, Model, without=("architecture", "options"))
    add_mapping(parser, "--options", "keyword arguments of the network, e.g. VGG's affine=false")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fingerprint", default="", help="given by Snakemake, stored in the file")
    add_arithmetic(parser)
    args = parser.parse_args()

    import torch

    from jackpot.stages.initialise import initialise

    # What a user's network draws may depend on their number: orthogonal weights do.
    torch.set_num_threads(1)
    initialise(**{**vars(args), "options": dict(args.options)})


main(run)
