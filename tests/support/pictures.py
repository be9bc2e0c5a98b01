"""What a drawn figure says."""


def legend_of(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def texts_of(figure):
    """Every text of a figure but the numbers of its axes."""
    texts = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for ax in figure.axes:
        texts += [*ax.texts, ax.xaxis.label, ax.yaxis.label]
    return [text for text in texts if text.get_text()]
