"""A stand-in for conda: what Snakemake asks of it, with pip's packages of this environment.

``conda env create`` makes a virtual environment and links into it the packages that the file pins
for pip, and nothing else; a file beside the copied one, or a package that is not pinned as it is
installed here, is refused. (conda-forge's Python is this one.)
"""

import json
import os
import sys
from importlib.metadata import distribution
from itertools import pairwise
from pathlib import Path

ACTIVATE = 'export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n'


def installed(folder):
    """``conda`` and its ``activate`` in ``folder/bin``; the folder for PATH."""
    places = Path(folder) / "bin"
    places.mkdir(parents=True)
    (places / "activate").write_text(ACTIVATE)
    program = places / "conda"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" "{folder}" "$@"\n')
    program.chmod(0o755)
    return places


def create(file, prefix):
    import venv

    import yaml

    *conda, pip = yaml.safe_load(Path(file).read_text())["dependencies"]
    assert [line.split("=")[0] for line in conda] == ["python", "pip"], conda
    venv.create(prefix, symlinks=True)
    (packages,) = Path(prefix).glob("lib/python*/site-packages")
    # What is started in the environment is listed beside it. (Debian's Python has a sitecustomize.)
    (packages / "started.pth").write_text(
        f"import sys; open({prefix + '.started'!r}, 'a').write(f'{{sys.orig_argv}}\\n')\n"
    )
    for pin in pip["pip"]:
        name, version = pin.split("==")
        package = distribution(name)
        assert package.version.split("+")[0] == version, f"{pin}: {package.version} is here"
        for part in {path.parts[0] for path in package.files if path.parts[0] not in ("..", "")}:
            if part != "__pycache__" and not (packages / part).exists():
                (packages / part).symlink_to(package.locate_file(part))


def main(folder, *arguments):
    if arguments[:1] == ("--version",):
        print("conda 26.9.4")
    elif arguments[:1] == ("info",):
        print(json.dumps({"conda_prefix": folder, "platform": "linux-64"}))
    elif arguments[:1] == ("config",):
        print(json.dumps({"get": {"channel_priority": "strict"}}))
    elif arguments[:2] == ("env", "create"):
        values = dict(pairwise(arguments))
        create(values["--file"], values["--prefix"])
    elif arguments[:1] != ("clean",):
        sys.exit(f"conda {arguments}: not expected")


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    main(*sys.argv[1:])
