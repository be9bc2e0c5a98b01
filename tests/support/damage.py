"""Ways to damage a file, for tests."""

import json
import pickle
import struct
from pathlib import Path

import torch

from jackpot.files.tensors import save_tensors

HTML = b"<!DOCTYPE html><html><body>503 Service Unavailable</body></html>"


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_the_end(path):
    path.write_bytes(path.read_bytes()[:-1])


def flip(at):
    """A damage that flips one bit; ``at`` is a fraction of the file."""

    def damage(path):
        content = bytearray(path.read_bytes())
        content[int(at * (len(content) - 1))] ^= 4
        path.write_bytes(content)

    return damage


def empty(path):
    path.write_bytes(b"")


def html(path):
    path.write_bytes(HTML)


class Payload:
    """Unpickling this makes a file: loading must never run code."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def pickled(path):
    path.write_bytes(pickle.dumps(Payload(path.parent / "executed")))


def folder_instead(path):
    path.unlink()
    path.mkdir()


def header(text):
    """A damage that leaves an empty safetensors file with ``text`` as the metadata of ours."""

    def damage(path):
        said = json.dumps({"__metadata__": {"metadata": text}}).encode()
        path.write_bytes(struct.pack("<Q", len(said)) + said)

    return damage


def something_else(path):
    save_tensors(path, {"x": torch.rand(3)}, {"fingerprint": "x"})


NEST = "[" * 100_000 + "]" * 100_000
BYTES = {
    "cut": cut,
    "end": cut_the_end,
    "bit0.02": flip(0.02),
    "bit0.5": flip(0.5),
    "bit1": flip(1),
    "empty": empty,
    "html": html,
    "pickle": pickled,
    "folder": folder_instead,
    "infinity": header('{"x": Infinity, "sha256": ""}'),
    "nest": header(f'{{"x": {NEST}, "sha256": ""}}'),
}
