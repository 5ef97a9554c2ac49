"""Cut-outs of outliers: what the exposure has, above what the combined image has there."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calflow.pictures.panels import COLOURS, MARK, brightness_scale, label_bar, save_figure
from calflow.pictures.previews import NO_VALUE, NOTHING, hatch
from calflow.science.quality.suspects import HALF, Suspect

SIDE, GAP, LEFT, HEAD, BAR = 1.25, 0.12, 0.75, 0.62, 0.62  # inches
DPI = 110
KINDS = {True: "flagged as outliers: the strongest", False: "not flagged: those that differ most"}


def draw_suspects(
    suspects: Sequence[Suspect], title: str, unit: str, scale: Mapping[str, float], out_png: Path
) -> None:
    """Draw them side by side, the flagged ones above. The same cut-outs give the same bytes.

    Parameters
    ----------
    suspects : sequence of Suspect
    title : str
        Of the picture.
    unit : str
        Of the brightness.
    scale : mapping
        Of `quality.brightness.brightness_of`.
    out_png : Path
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

    kinds = {kind: [each for each in suspects if each.flagged is kind] for kind in KINDS}
    columns = max(1, *(len(each) for each in kinds.values()))
    width = LEFT + columns * (SIDE + GAP)
    block = HEAD + 2 * (SIDE + GAP)
    height = 0.3 + len(kinds) * block + BAR
    figure = Figure(figsize=(max(width, 6.0), height), dpi=DPI, facecolor="white")
    norm = brightness_scale(scale["low"] - scale["sky"], scale["high"] - scale["sky"], scale["linear"])
    colours = matplotlib.colormaps[COLOURS].with_extremes(bad=NOTHING)
    across, up = figure.get_size_inches()
    figure.text(0.1 / across, 1 - 0.2 / up, title, fontsize=11, weight="bold", va="center")
    top = height - 0.3
    for kind, members in kinds.items():
        figure.text(
            0.1 / across, (top - 0.18) / up, KINDS[kind] + ("" if members else ": none"), fontsize=9, va="center"
        )
        for row, name in enumerate(("exposure", "combined")):
            bottom = top - HEAD - row * (SIDE + GAP) - SIDE
            if members:
                figure.text(0.1 / across, (bottom + SIDE / 2) / up, name, fontsize=7.5, rotation=90, va="center")
            for column, suspect in enumerate(members):
                place = ((LEFT - 0.45 + column * (SIDE + GAP)) / across, bottom / up, SIDE / across, SIDE / up)
                axes = figure.add_axes(place)
                hatch(axes)
                axes.imshow(getattr(suspect, ("own", "combined")[row]), origin="lower", norm=norm, cmap=colours)
                axes.set(xticks=[], yticks=[])
                _mark(axes)
                if row == 0:
                    axes.set_title(_label(suspect), fontsize=6.5, loc="left", pad=2)
        top -= block
    room = figure.add_axes(((LEFT - 0.45) / across, 0.42 / up, 3.6 / across, 0.08 / up))
    bar = figure.colorbar(ScalarMappable(norm, colours), cax=room, orientation="horizontal")
    label_bar(bar, f"{unit} above the sky; {NO_VALUE}", norm)
    bar.ax.xaxis.label.set_fontsize(7.5)
    bar.ax.tick_params(labelsize=7)
    save_figure(figure, out_png, DPI)


def _mark(axes: Any) -> None:
    """Draw two lines that point to the pixel and leave it free."""
    for (x0, x1), (y0, y1) in (((5, 12), (0, 0)), ((0, 0), (5, 12))):
        axes.plot(HALF + np.array([x0, x1]), HALF + np.array([y0, y1]), color=MARK, linewidth=1.1)


def _label(suspect: Suspect) -> str:
    """Return which pixel it is, and how strong it is."""
    short = suspect.exposure if len(suspect.exposure) <= 22 else f"…{suspect.exposure[-21:]}"
    return f"{short}\nx {suspect.x + 1}, y {suspect.y + 1}\n{suspect.strength:.3g} of the threshold"
