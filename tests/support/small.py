"""A tiny data set, network and training, for tests of the stages."""

import torch

from jackpot.data.files import ImageData, channel_statistics, save_data
from jackpot.files.tensors import save_mask
from jackpot.models import load_model, prunable
from jackpot.pruning.masks import keep_top
from jackpot.settings import Training
from jackpot.stages.initialise import initialise
from jackpot.stages.pretrain import pretrain
from jackpot.training.results import RunName

CPU = torch.device("cpu")
FAST = Training(epochs=3, batch_size=32, crop_padding=1, flip=False)
RUN = RunName("test", "tiny", "vgg5", "snip", "none", 0.7, 0)


def make_data(path, train=96, channels=1, side=8):
    """Random images in which a bright patch tells the class, saved at ``path``."""
    draws = torch.Generator().manual_seed(0)

    def split(count):
        labels = torch.randint(3, (count,), generator=draws)
        images = torch.randint(0, 120, (count, channels, side, side), generator=draws)
        for image, label in zip(images, labels, strict=True):
            image[:, 2 * int(label) : 2 * int(label) + 2] += 100
        return images.to(torch.uint8), labels

    images, labels = split(train)
    mean, std = channel_statistics(images)
    names = ("class0", "class1", "class2")
    data = ImageData(images, labels, *split(64), mean, std, names)
    save_data(path, data)
    return data


def make_ticket(folder, density=0.3, architecture="vgg5", width=4):
    """Data, initial weights and a random mask: ``clean``, ``init`` and ``mask`` in ``folder``."""
    paths = {name: folder / f"{name}.safetensors" for name in ("clean", "init", "mask")}
    make_data(paths["clean"])
    initialise(paths["init"], data=paths["clean"], architecture=architecture, width=width, seed=0)
    draws = torch.Generator().manual_seed(1)
    weights = prunable(load_model(paths["init"]))
    scores = {name: torch.rand(w.shape, generator=draws) for name, w in weights.items()}
    save_mask(paths["mask"], keep_top(scores, density))
    return paths


def make_dense(folder, paths, settings=FAST, snapshots=()):
    """The dense network of ``make_ticket`` trained, as the workflow does before it prunes."""
    pretrain(
        folder,
        run=RunName("test", "tiny", "vgg5", "dense", "none", 0.0, 0),
        clean=paths["clean"],
        data=paths["clean"],
        initial=paths["init"],
        settings=settings,
        snapshots=snapshots,
        device=CPU,
    )


def without_seconds(history):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history]
