"""Collect a study's results into runs.csv, histories.csv, layers.csv and about.json."""

import json

from jackpot.cli import main, parser_of
from jackpot.study import Plan, load_config, load_study


def run() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--study", required=True, help="the study's YAML file")
    parser.add_argument("--results-dir", default="results", help="(default: results)")
    parser.add_argument("--data-dir", default="data", help="(default: data)")
    parser.add_argument("--datasets", type=json.loads, default={}, help="as in config.yaml, JSON")
    parser.add_argument("--partial", action="store_true", help="leave out runs without a result")
    values = vars(parser.parse_args())
    partial = values.pop("partial")
    config = load_config(values, "the command line")

    from jackpot.running.links import forget_all_links
    from jackpot.stages.collect import collect

    plan = Plan(load_study(config.study, config.datasets), config)
    collect(plan, partial=partial)
    if not partial:
        forget_all_links(plan.root)


main(run)
