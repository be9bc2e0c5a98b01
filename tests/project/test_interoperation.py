"""docs/interoperation.md: its snippets run, and PyTorch's pruning functions work on our tickets."""

import re

import pytest
import torch
from torch.nn.utils import prune

from jackpot.files.tensors import load_mask
from jackpot.models import load_model, prunable
from jackpot.pruning.masks import attach
from tests.support import ROOT
from tests.support.scripts import retrain

PAGE = ROOT / "docs" / "interoperation.md"


@pytest.fixture(scope="module")
def trained(ticket, warm):
    status, text = retrain(warm, ticket, "kept", "--keep-weights")
    assert status == 0, text
    return ticket / "kept", ticket / "mask.safetensors"


def test_the_pages_snippets_run(trained):
    ticket, mask_file = trained
    snippets = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    assert len(snippets) == 6
    table = ROOT / "results" / "published" / "cifar10-cpu" / "runs.csv"
    names = {"ticket": ticket, "mask_file": mask_file, "table": table}
    for snippet in snippets:
        exec(compile(snippet, str(PAGE), "exec"), names)
    saved, _ = load_mask(ticket / "mine.safetensors")
    assert all(torch.equal(saved[name], keep) for name, keep in names["mask"].items())
    assert len(names["checks"]) and set(names["tickets"].reference) == {"snip", "grasp"}


def test_an_attached_ticket_computes_and_trains_as_pytorch_users_expect(trained):
    ticket, mask_file = trained
    plain, model = (load_model(ticket / "weights.safetensors") for _ in range(2))
    mask, _ = load_mask(mask_file)
    attach(model, mask)
    images = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    assert torch.equal(model(images), plain(images))
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(images).square().sum().backward()
        optimizer.step()
    after = model(images)
    again = attach(load_model(ticket / "weights.safetensors"), mask)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(images), after)
    for name in mask:
        layer, _, parameter = name.rpartition(".")
        prune.remove(model.get_submodule(layer), parameter)
    assert torch.equal(model(images), after) and not torch.equal(after, plain(images))
    weights = prunable(model)
    assert all(not weights[name][~keep].any() for name, keep in mask.items())
    assert set(model.state_dict()) == set(plain.state_dict())
