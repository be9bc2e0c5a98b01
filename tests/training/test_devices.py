"""The same bits twice, and after a kill: of the processor, and of a GPU where there is one.

The processor's cases keep the tests themselves true where there is none.
"""

import pytest
import torch

from jackpot.files.tensors import sha256_of_tensors
from jackpot.models import load_model
from jackpot.pruning.scores import SCORES
from jackpot.randomness import generator
from jackpot.running.device import chosen_device
from jackpot.settings import Training
from jackpot.training import engine
from jackpot.training.results import load_splits, placed
from jackpot.training.resume import ResumeFile
from tests.support.pruning import flat
from tests.support.small import make_ticket

NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
SETTINGS = Training(epochs=3, batch_size=16)


class Killed(Exception):
    """Stands for SIGKILL: nothing of the process's memory goes on."""


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=NEEDS_GPU)])
def device(request):
    return chosen_device(request.param)


@pytest.fixture(params=["vgg5", "resnet8"])
def paths(request, tmp_path):
    return make_ticket(tmp_path, architecture=request.param)


def test_a_training_gives_the_same_bits_twice_and_after_a_kill(
    device, paths, tmp_path, monkeypatch
):
    steps, step = {"done": 0, "until": None}, engine.SGD.step

    def counted(self, lr):
        if steps["done"] == steps["until"]:
            raise Killed
        step(self, lr)
        steps["done"] += 1

    monkeypatch.setattr(engine.SGD, "step", counted)

    def trained(resume=None, until=None):
        steps.update(done=0, until=until)
        model = placed(load_model(paths["init"]), SETTINGS, device)
        splits = load_splits(paths["clean"], paths["clean"], device)
        outcome = engine.train(model, *splits, SETTINGS, seed=0, epochs=3, resume=resume)
        return sha256_of_tensors(engine.cpu_state(model)), outcome

    (first, whole), (again, _) = trained(), trained()
    assert first == again
    # A save after every step.
    with pytest.raises(Killed):
        trained(ResumeFile(tmp_path / "resume", "x", minutes=1e-9), until=8)
    resumed, outcome = trained(ResumeFile(tmp_path / "resume", "x"))
    assert resumed == first and outcome.resumes == 1 and steps["done"] == 18 - 8
    losses = [[row["test_loss"] for row in said.history] for said in (whole, outcome)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("name", SCORES.names())
def test_a_score_gives_the_same_bits_twice_and_the_processors_values(device, paths, name):
    train, _ = load_splits(paths["clean"], paths["clean"], torch.device("cpu"))
    batch = train.images[:24].permute(0, 3, 1, 2).float() / 255, train.labels[:24]

    def scored(where):
        model = load_model(paths["init"]).to(where)
        data = tuple(part.to(where) for part in batch)
        scores = SCORES[name](model, data, generator(2, "score"))
        return flat({key: value.cpu() for key, value in scores.items()})

    on_device = scored(device)
    assert torch.equal(on_device, scored(device))
    reference = scored(torch.device("cpu"))
    # float32 sums of another order; TF32, which is switched off, would differ by far more.
    torch.testing.assert_close(
        on_device, reference, rtol=1e-3, atol=1e-4 * float(reference.abs().max())
    )
