"""Charts as SVG, in the colours of the page around them: light, dark, printed."""

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

WIDTH, HEIGHT = 380, 270
LEFT, RIGHT, TOP, BOTTOM = 66, 12, 26, 40
TICKS = 5
ROUND = (1, 2, 2.5, 5, 10)
MARGIN = 0.05  # of the range, around what is drawn


class Chart:
    """A chart with linear axes.

    Parameters
    ----------
    title, x_label, y_label : str
    x, y : iterable of float
        What has to lie inside; what is not finite does not count.
    zero : bool
        Whether the y axis begins at 0.
    mirrored : bool
        Whether x grows to the left, as right ascension does.
    equal : bool
        Whether both axes have one scale.
    """

    def __init__(
        self,
        title: str,
        x_label: str,
        y_label: str,
        x: Iterable[float | None],
        y: Iterable[float | None],
        *,
        zero: bool = False,
        mirrored: bool = False,
        equal: bool = False,
    ) -> None:
        self._title, self._labels, self._mirrored = title, (x_label, y_label), mirrored
        self._x, self._y = _range(x), _range(y)
        if zero:
            self._y = 0.0, self._y[1]
        if equal:
            self._equalise()
        self._parts: list[str] = []

    def points(self, x: Sequence, y: Sequence, kind: str = "a", radius: float = 2.2) -> None:
        """Draw points; those that are not known are left out.

        Parameters
        ----------
        x, y : sequence of float or None
        kind : str
            A class of the style sheet.
        radius : float
        """
        for one, other in _known(x, y):
            self._parts.append(f'<circle class="{kind}" cx="{self._at_x(one)}" cy="{self._at_y(other)}" r="{radius}"/>')

    def bars(self, edges: Sequence[float], values: Sequence[float], kind: str = "a") -> None:
        """Draw bars from 0.

        Parameters
        ----------
        edges : sequence of float
            One more than bars.
        values : sequence of float
        kind : str
            A class of the style sheet.
        """
        for left, right, value in zip(edges[:-1], edges[1:], values, strict=True):
            one, other = sorted((float(self._at_x(left)), float(self._at_x(right))))
            top, bottom = float(self._at_y(value)), float(self._at_y(0))
            size = f'width="{max(other - one - 1, 0.5):.1f}" height="{max(bottom - top, 0):.1f}"'
            self._parts.append(f'<rect class="{kind}" x="{one:.1f}" y="{top:.1f}" {size}/>')

    def lines(self, ends: Iterable[Sequence[float]], kind: str = "line") -> None:
        """Draw straight lines.

        Parameters
        ----------
        ends : iterable of (x1, y1, x2, y2)
        kind : str
            A class of the style sheet.
        """
        for x1, y1, x2, y2 in ends:
            if np.isfinite([x1, y1, x2, y2]).all():
                ends_ = f'x1="{self._at_x(x1)}" y1="{self._at_y(y1)}" x2="{self._at_x(x2)}" y2="{self._at_y(y2)}"'
                self._parts.append(f'<line class="{kind}" {ends_}/>')

    def level(self, value: float | None, label: str, *, upright: bool = False) -> None:
        """Draw a line across all of the chart, with a label.

        Parameters
        ----------
        value : float or None
            None: nothing is drawn.
        label : str
        upright : bool
            At an x, in place of a y.
        """
        low, high = self._x if upright else self._y
        if value is None or not low <= value <= high:
            return
        if upright:
            self.lines([(value, self._y[0], value, self._y[1])], "mark")
            x = float(self._at_x(value))
            beside = (x - 4, "end") if x > (LEFT + WIDTH - RIGHT) / 2 else (x + 4, "start")
            self._text(beside[0], TOP + 10, label, beside[1], "small")
        else:
            self.lines([(self._x[0], value, self._x[1], value)], "mark")
            self._text(WIDTH - RIGHT - 2, float(self._at_y(value)) - 3, label, "end", "small")

    def outline(self, corners: Sequence[Sequence[float]], kind: str = "frame") -> None:
        """Draw a polygon.

        Parameters
        ----------
        corners : sequence of (x, y)
        kind : str
            A class of the style sheet.
        """
        points = " ".join(f"{self._at_x(x)},{self._at_y(y)}" for x, y in corners)
        self._parts.append(f'<polygon class="{kind}" points="{points}"/>')

    def svg(self) -> str:
        """Return the chart as an element of HTML."""
        drawn, self._parts = self._parts, []
        self._axes()
        frame = (
            f'<rect class="axis" x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}"/>'
        )
        head = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(self._title)}">'
        return "".join([head, *self._parts, frame, *drawn, "</svg>"])

    def _axes(self) -> None:
        self._text(LEFT, 15, self._title, "start", "title")
        self._text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 5, self._labels[0], "middle")
        middle = (TOP + HEIGHT - BOTTOM) / 2
        turned = f'transform="rotate(-90 11 {middle:g})"'
        self._parts.append(
            f'<text x="11" y="{middle:g}" text-anchor="middle" {turned}>{escape(self._labels[1])}</text>'
        )
        for value in _ticks(*self._x):
            x = float(self._at_x(value))
            self._parts.append(f'<line class="grid" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}"/>')
            self._text(x, HEIGHT - BOTTOM + 14, f"{value:g}", "middle", "small")
        for value in _ticks(*self._y):
            y = float(self._at_y(value))
            self._parts.append(f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>')
            self._text(LEFT - 5, y + 3.5, f"{value:g}", "end", "small")

    def _text(self, x: float, y: float, text: str, anchor: str, kind: str = "") -> None:
        of = f' class="{kind}"' if kind else ""
        self._parts.append(f'<text{of} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>')

    def _equalise(self) -> None:
        """Widen one of the axes so that a unit is as long on both."""
        across, up = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        unit = max((self._x[1] - self._x[0]) / across, (self._y[1] - self._y[0]) / up)
        self._x, self._y = (
            (sum(ends) / 2 - unit * length / 2, sum(ends) / 2 + unit * length / 2)
            for ends, length in ((self._x, across), (self._y, up))
        )

    def _at_x(self, value: float) -> str:
        part = (value - self._x[0]) / (self._x[1] - self._x[0])
        part = 1 - part if self._mirrored else part
        return f"{LEFT + part * (WIDTH - LEFT - RIGHT):.1f}"

    def _at_y(self, value: float) -> str:
        part = (value - self._y[0]) / (self._y[1] - self._y[0])
        return f"{HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM):.1f}"


def _known(x: Sequence, y: Sequence) -> list[tuple[float, float]]:
    pairs = [(one, other) for one, other in zip(x, y, strict=True) if one is not None and other is not None]
    return [pair for pair in pairs if np.isfinite(pair).all()]


def _range(values: Iterable[float | None]) -> tuple[float, float]:
    """Return the range of an axis; one that makes sense for no values, or a single one."""
    known = [float(value) for value in values if value is not None and np.isfinite(value)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    around = MARGIN * (high - low) or abs(high) / 10 or 0.5
    return low - around, high + around


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers inside a range, about as many as there is room for."""
    power = 10.0 ** np.floor(np.log10((high - low) / TICKS))
    step = next(part * power for part in ROUND if (high - low) / (part * power) <= TICKS + 1)
    numbers = np.arange(np.ceil(low / step), np.floor(high / step) + 1)
    return [float(f"{number * step:.10g}") + 0.0 for number in numbers]
