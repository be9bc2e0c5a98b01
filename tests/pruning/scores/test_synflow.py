"""SynFlow against products along paths."""

import copy

import pytest
import torch
from torch import nn
from torch.func import functional_call

from jackpot.errors import JackpotError
from jackpot.models import build_model, prunable
from jackpot.pruning.scores import SCORES
from jackpot.randomness import generator
from tests.support.pruning import flat
from tests.support.scores import batch, close, differences, tiny


def test_synflow_is_the_product_of_absolute_weights_along_paths():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3, bias=False), nn.Linear(3, 2, bias=False))
    first, second = (w.detach().double().abs() for w in prunable(model).values())
    scores = list(SCORES["synflow"](model, None, generator(0), input_shape=(1, 2, 2)).values())
    for i in range(3):
        for j in range(4):
            assert scores[0][i, j] == pytest.approx(float(first[i, j] * second[:, i].sum()))
        for k in range(2):
            assert scores[1][k, i] == pytest.approx(float(second[k, i] * first[i].sum()))


def test_synflow_takes_absolute_values_of_every_parameter_and_buffer_in_eval_mode():
    model = tiny()
    model.bn.running_mean.copy_(torch.tensor([-0.7, 0.4]))
    model.bn.running_var.copy_(torch.tensor([2.0, 0.3]))
    images, labels = batch()
    positive = copy.deepcopy(model).double().eval()
    for name, tensor in positive.state_dict().items():
        if name != "bn.num_batches_tracked":
            tensor.copy_(tensor.abs())
    weights = prunable(positive)
    ones = torch.ones(1, 2, 5, 4, dtype=torch.float64)

    def output(vector):
        parts = vector.split([w.numel() for w in weights.values()])
        state = {n: p.reshape(w.shape) for (n, w), p in zip(weights.items(), parts, strict=True)}
        return functional_call(positive, state, (ones,)).sum()

    vector = torch.cat([w.detach().reshape(-1) for w in weights.values()])
    with torch.no_grad():
        expected = vector * differences(output, vector)
    scores = SCORES["synflow"](model, (images, labels), generator(0))
    assert flat(scores).dtype == torch.float64
    assert close(flat(scores), expected, 1e-6)
    # Only the shape of the images is read.
    other = SCORES["synflow"](model, (images * 5 + 1, labels), generator(0))
    assert torch.equal(flat(scores), flat(other))


def test_synflow_conserves_flow_from_layer_to_layer():
    """Tanaka et al. 2020, theorem 1: without biases every layer's scores sum to the output."""
    model = build_model("vgg5", width=3, in_channels=1)
    scores = SCORES["synflow"](model, None, generator(0), input_shape=(1, 8, 8))
    assert len(scores) == 5
    convolutions = [float(s.sum()) for name, s in scores.items()]
    # The classifier's bias does not pass through weights, so R minus it is conserved.
    assert convolutions == pytest.approx([convolutions[0]] * 5, rel=1e-9)


def test_synflow_without_a_shape_says_so():
    with pytest.raises(JackpotError, match="input_shape"):
        SCORES["synflow"](tiny(), None, generator(0))
