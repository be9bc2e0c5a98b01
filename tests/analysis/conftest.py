"""Runs that several tests of the statistics start from."""

import numpy as np
import pandas as pd
import pytest

from tests.support.verdicts import noisy_runs


@pytest.fixture
def rng():
    return np.random.default_rng(20)


@pytest.fixture
def study(rng):
    frames = [
        noisy_runs(rng, seeds=seeds, sparsity=sparsity, model=model)
        for model, seeds in (("vgg19", 5), ("resnet32", 3))
        for sparsity in (0.9, 0.98)
    ]
    return pd.concat(frames, ignore_index=True)
