"""Panels whose labels never meet, and styles that can be told apart."""

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.colors import to_rgb

from jackpot import vocabulary
from jackpot.report.panels import Block, lay_out
from jackpot.report.style import RC, handle


@pytest.mark.parametrize("counts", [[1], [2], [6, 6], [5, 2, 7], [9]])
@pytest.mark.parametrize("shared", [True, False])
def test_no_label_meets_another(counts, shared):
    blocks = [
        Block(f"dataset{b} · model", [((b, i), i * f"ticket {i} ") for i in range(n)], shared)
        for b, n in enumerate(counts)
    ]
    handles = [handle(style) for style in vocabulary.CHECKS.values()]
    with rc_context(RC):
        figure, axes = lay_out(blocks, handles, "sparsity (%)", "test accuracy (%)")
        for ax in axes.values():
            ax.set(xlim=(-0.6, 1.6), xticks=[0, 1], xticklabels=["90", "99.5"])
            ax.set_ylim(91.25, 93.75)
        renderer = figure.canvas.get_renderer()
        boxes = [ax.get_tightbbox(renderer) for ax in axes.values()]
        boxes += [text.get_window_extent(renderer) for text in figure.texts]
        boxes += [figure.legends[0].get_window_extent(renderer)]
    width, height = figure.get_size_inches() * figure.dpi
    for i, box in enumerate(boxes):
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


def _lightness(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


@pytest.mark.parametrize("known", [vocabulary.CHECKS, vocabulary.TICKETS, vocabulary.VERDICTS])
def test_styles_can_be_told_apart_without_colour(known):
    names = [*known, *(f"own_{i}" for i in range(6))]
    chosen = vocabulary.styles(names, known)
    assert list(chosen) == names
    assert len({style.marker for style in chosen.values()}) == len(names)
    assert all(chosen[name].label == name.replace("_", " ") for name in names[len(known) :])
    # 3:1 on white would lose sky blue and orange; they carry marker and dash as well.
    assert all(_lightness(style.colour) < 0.45 for style in chosen.values())


def _perceived(colour):
    """OKLab (Ottosson 2020): distances are about as large as they look."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return np.array(lab) @ np.cbrt(np.array(cones) @ linear)


def test_the_colours_for_own_names_are_apart_from_all_others():
    spare = {style.colour for style in vocabulary.styles("abcdefgh", {}).values()}
    known = {s.colour for m in (vocabulary.CHECKS, vocabulary.TICKETS) for s in m.values()}
    pairs = [(one, other) for one in spare for other in (spare | known) - {one}]
    near = [pair for pair in pairs if np.linalg.norm(np.subtract(*map(_perceived, pair))) < 0.14]
    assert not near


def test_thirty_names_of_a_users_own_differ():
    chosen = vocabulary.styles([f"own_{i}" for i in range(30)], vocabulary.TICKETS).values()
    assert len({(style.marker, style.colour) for style in chosen}) == 30
