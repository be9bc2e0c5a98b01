"""Studies: what to run, read from one YAML file and checked before anything runs.

Never imports torch.
"""

from jackpot.study.config import Config
from jackpot.study.load import load_config, load_study, read_config
from jackpot.study.model import Run, Study
from jackpot.study.plan import Plan

__all__ = [
    "Config",
    "Plan",
    "Run",
    "Study",
    "load_config",
    "load_study",
    "read_config",
]
