"""The studies of the papers at a size for tests: one epoch, small images, narrow networks."""

import numpy as np
import yaml
from PIL import Image

from tests.support import ROOT, snake


def image_folder(path):
    """Write random PNGs in which a bright row tells the class; return the folder."""
    draws = np.random.default_rng(5)
    for split, count in (("train", 32), ("test", 8)):
        for label in range(3):
            folder = path / split / f"class{label}"
            folder.mkdir(parents=True)
            for number in range(count):
                image = draws.integers(0, 160, (8, 8, 3), dtype=np.uint8)
                image[2 * label] += 90
                Image.fromarray(image).save(folder / f"{number:03}.png")
    return path


def reduced(name, folder, **changes):
    """Write ``studies/<name>.yaml`` at test size into ``folder``; return its path.

    Tickets, pruners, checks, overrides and cells are the study's own.
    """
    study = yaml.safe_load((ROOT / "studies" / f"{name}.yaml").read_text())
    small = {"vgg": ("vgg5", 3), "res": ("resnet8", 3)}
    for model in study["models"]:
        architecture, width = small[model[:3]]
        study["models"][model] |= {"architecture": architecture, "width": width}
    study["training"] |= {"epochs": 1, "crop_padding": 1}
    for override in study["overrides"]:
        for key in ("pretraining", "retraining"):
            override.get(key, {}).pop("epochs", None)
    if "rewind_epoch" in study:
        study["rewind_epoch"] = 0
    if "rewind_weights_epoch" in study:
        study["rewind_weights_epoch"] = 1
    if "retrain_epochs" in study:
        study["retrain_epochs"] = 1
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({**study, **changes}))
    return path


def snakemake(study, images, folder, *arguments, cores=2, **config):
    """Run Snakemake on a study whose datasets are all the images in ``images``; it must succeed."""
    names = yaml.safe_load(study.read_text())["datasets"]
    place = {"kind": "image_folder", "path": str(images)}
    values = {
        "study": str(study),
        "results_dir": str(folder / "results"),
        "data_dir": str(folder / "data"),
        "datasets": dict.fromkeys(names, place),
        **config,
    }
    file = folder / f"{study.stem}-config.yaml"
    file.write_text(yaml.safe_dump(values))
    options = ["-c", cores, "--scheduler", "greedy", "--show-failed-logs"]
    # Without its notes on outputs: they would pile up in the working tree.
    options += ["--drop-metadata", "--configfile", file]
    return snake.succeed(ROOT, *options, *arguments)
