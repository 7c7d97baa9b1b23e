"""Measures shapes in the units of their coordinates (a fraction squared, for areas), exactly except for rounding.

Outlines may have holes, cross themselves and lie anywhere. Functions that could take long count their steps in a `Work`
(a step takes about a third of a microsecond) and raise TooComplex at its limit.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import chain, pairwise
from typing import Final, NamedTuple

from annohooks.core.deadline import Deadline
from annohooks.kili.label.model import Point, Ring, Shape

MOST_STEPS: Final = 5_000_000
"""The default limit of a Work."""

_STEPS_PER_TIME_CHECK: Final = 50_000

Area = Shape | Sequence[Shape]
"""One drawn area, or the pieces of one object on one frame or page. A point in two pieces is outside the area."""

Edge = tuple[float, float, float, float, int]
"""Upper y, its x, lower y, its x, and the region the edge belongs to, 1 or 2."""


class TooComplex(ValueError):
    """Shapes have too many edges, crossings or overlaps to be measured in reasonable time."""


class Work:
    """A limit of steps and time for one measurement, or for all measurements that share the Work."""

    __slots__ = ("_deadline", "_next_time_check", "left")

    def __init__(self, steps: int = MOST_STEPS, deadline: Deadline | None = None) -> None:
        self.left = steps
        self._deadline = deadline
        self._next_time_check = steps

    def spend(self, steps: int) -> None:
        """Raises TooComplex when fewer steps are left, or when the deadline has passed."""
        self.left -= steps
        if self.left < 0:
            raise TooComplex("the shapes are too complex to be measured")
        if self.left <= self._next_time_check and self._deadline:
            self._next_time_check = self.left - _STEPS_PER_TIME_CHECK
            if not self._deadline.remaining_s():
                raise TooComplex("the shapes are too complex to be measured in the time that was left")


class Bounds(NamedTuple):
    """The upright rectangle around shapes; y points down."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """In the units of x."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """In the units of y."""
        return self.bottom - self.top


def bounds(area: Area) -> Bounds:
    """The bounds of all outlines and points. Raises ValueError when there are none."""
    points = [*chain.from_iterable(_rings(area)), *chain.from_iterable(shape.points for shape in _pieces(area))]
    if not points:
        raise ValueError("there are no outlines and no points")
    return _bounds(points)


def ring_area(ring: Ring) -> float:
    """The area of one outline by the shoelace formula, relative to its first point to lose less precision.

    Where an outline crosses itself, parts that it runs around in opposite directions are subtracted from each other.
    """
    x0, y0 = ring[0]
    return abs(sum((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0) for (x1, y1), (x2, y2) in pairwise(ring))) / 2


def area(drawn: Area) -> float:
    """The area of all pieces without their holes; 0 for lines and points."""
    return sum(
        max(0.0, ring_area(shape.rings[0]) - sum(map(ring_area, shape.rings[1:])))
        for shape in _pieces(drawn)
        if shape.rings
    )


def self_crossing(ring: Ring, work: Work | None = None) -> Point | None:
    """The topmost point where an outline crosses itself, rounded; None when it does not cross itself.

    Two edges cross when the ends of each lie on different sides of the other, which is decided exactly. An outline that
    only touches itself, at a vertex or along an edge, does not cross itself. Raises TooComplex.
    """
    work = work or Work()
    first: Point | None = None
    for one, other in _edges_at_same_height(sorted(_edges([ring], 1)), work):
        work.spend(3)
        point = _crossing(one, other)
        if point and (first is None or point[::-1] < first[::-1]):
            first = point
    return first


def overlapping(areas: Sequence[Area], at_least: float, work: Work | None = None) -> Iterator[tuple[int, int, float]]:
    """All pairs with an IoU of at least this and more than 0: their indices, the smaller one first, and the IoU.

    IoU is the area inside both over the area inside either. A point is inside when an odd number of outlines surround
    it, so holes may be anywhere and outlines may cross themselves. Only pairs whose bounds overlap, and whose IoU can
    be large enough, are measured. Raises TooComplex.
    """
    work = work or Work()
    regions = [_Region(drawn) for drawn in areas]
    for i, j in overlapping_bounds([region.bounds for region in regions], work):
        a, b = regions[i], regions[j]
        work.spend(4)
        if a.most_iou(b, work) >= at_least:
            iou = a.iou(b, work)
            if iou > 0 and iou >= at_least:
                yield i, j, iou


def overlapping_bounds(boxes: Sequence[Bounds], work: Work | None = None) -> Iterator[tuple[int, int]]:
    """The indices of all pairs of boxes that share some area, the smaller index first. Raises TooComplex.

    Algorithm: sweep and prune, along the axis on which fewer boxes overlap.
    """
    work = work or Work()
    if _crowding([(box.left, box.right) for box in boxes]) <= _crowding([(box.top, box.bottom) for box in boxes]):
        spans = [(box.left, box.right, box.top, box.bottom, index) for index, box in enumerate(boxes)]
    else:
        spans = [(box.top, box.bottom, box.left, box.right, index) for index, box in enumerate(boxes)]
    spans = [span for span in spans if span[0] < span[1] and span[2] < span[3]]
    spans.sort()
    active: list[tuple[float, float, float, float, int]] = []
    for span in spans:
        start, _, low, high, index = span
        active = [other for other in active if other[1] > start]
        work.spend(1 + len(active) // 8)
        for _, _, other_low, other_high, other in active:
            if other_low < high and low < other_high:
                work.spend(1)
                yield (index, other) if index < other else (other, index)
        active.append(span)


def _crowding(spans: list[tuple[float, float]]) -> float:
    """The average number of spans over a point."""
    if not spans:
        return 0.0
    extent = max(high for _, high in spans) - min(low for low, _ in spans)
    return sum(high - low for low, high in spans) / extent if extent > 0 else float(len(spans))


class _Region:
    """An area with its sorted edges, which are computed once and compared with many other areas."""

    __slots__ = ("_area", "_edges", "bounds", "is_box", "rings")

    def __init__(self, drawn: Area) -> None:
        self.rings = _rings(drawn)
        self.bounds = _bounds(list(chain.from_iterable(self.rings))) if self.rings else Bounds(0.0, 0.0, 0.0, 0.0)
        self.is_box = len(self.rings) == 1 and _is_box(self.rings[0])
        self._edges: list[Edge] | None = None
        self._area: float | None = self.bounds.width * self.bounds.height if self.is_box else None

    def edges(self) -> list[Edge]:
        """The edges from the top down, without horizontal ones."""
        if self._edges is None:
            self._edges = sorted(edge for edge in _edges(self.rings, 1) if edge[0] < edge[2])
        return self._edges

    def area(self, work: Work) -> float:
        """The area that an odd number of outlines surrounds."""
        if self._area is None:
            self._area = _area_inside(self.edges(), [], self.bounds.top, self.bounds.bottom, 1, work)
        return self._area

    def shared_bounds(self, other: _Region) -> Bounds | None:
        (left, top, right, bottom), (left_2, top_2, right_2, bottom_2) = self.bounds, other.bounds
        shared = Bounds(max(left, left_2), max(top, top_2), min(right, right_2), min(bottom, bottom_2))
        return shared if shared.left < shared.right and shared.top < shared.bottom else None

    def intersection(self, other: _Region, work: Work) -> float:
        shared = self.shared_bounds(other)
        if shared is None:
            return 0.0
        if self.is_box and other.is_box:
            return shared.width * shared.height
        return _area_inside(self.edges(), other.edges(), shared.top, shared.bottom, 3, work)

    def most_iou(self, other: _Region, work: Work) -> float:
        """An upper bound of the IoU that needs no intersection."""
        shared = self.shared_bounds(other)
        if shared is None:
            return 0.0
        a, b = self.area(work), other.area(work)
        return _ratio(min(a, b, shared.width * shared.height * (1 + 1e-9)), a, b)

    def iou(self, other: _Region, work: Work) -> float:
        both = self.intersection(other, work)
        return _ratio(both, self.area(work), other.area(work)) if both > 0 else 0.0


def _ratio(both: float, a: float, b: float) -> float:
    either = a + b - both
    return min(1.0, both / either) if either > 0 else 0.0


# Slabs. All heights at which an edge ends or two edges cross cut the plane into horizontal slabs. Within a slab the
# edges keep their order from left to right, so the area between two of them is a trapezium: width at half height x
# height.
#
#     ------/-----\------    height 1
#          /       \         slab: edges a, b from left to right
#     ----/----+----\----    height 2, where a third edge begins
#        /    /      \


def _area_inside(a: list[Edge], b: list[Edge], top: float, bottom: float, inside: int, work: Work) -> float:
    """The area between two heights that is inside a only (1), b only (2) or both (3). a, b: edges from the top down."""
    edges = [edge for edge in a if edge[2] > top and edge[0] < bottom]
    if b:
        edges += [(y0, x0, y1, x1, 2) for y0, x0, y1, x1, _ in b if y1 > top and y0 < bottom]
        edges.sort()
    heights = {top, bottom}
    for y0, _, y1, _, _ in edges:
        heights.add(y0)
        heights.add(y1)
    heights.update(_crossing_heights(edges, work))
    slabs = sorted(heights)
    slabs = slabs[bisect_left(slabs, top) : bisect_left(slabs, bottom) + 1]
    total = 0.0
    next_edge = 0
    active: list[Edge] = []
    for upper, lower in pairwise(slabs):
        active = [edge for edge in active if edge[2] >= lower]
        while next_edge < len(edges) and edges[next_edge][0] <= upper:
            if edges[next_edge][2] >= lower:
                active.append(edges[next_edge])
            next_edge += 1
        work.spend(1 + len(active))
        middle = (upper + lower) / 2
        crossed = sorted([(x0 + (x1 - x0) * ((middle - y0) / (y1 - y0)), region) for y0, x0, y1, x1, region in active])
        width = 0.0
        current = 0
        last = 0.0
        for x, region in crossed:
            if current == inside:
                width += x - last
            current ^= region
            last = x
        total += width * (lower - upper)
    return total


def _crossing_heights(edges: Iterable[Edge], work: Work) -> Iterator[float]:
    """The heights at which two edges cross. edges: from the top down."""
    for (ay0, ax0, ay1, ax1, _), (by0, bx0, by1, bx1, _) in _edges_at_same_height(edges, work):
        upper, lower = (by0 if by0 > ay0 else ay0), (ay1 if ay1 < by1 else by1)
        a_slope, b_slope = (ax1 - ax0) / (ay1 - ay0), (bx1 - bx0) / (by1 - by0)
        before = ax0 + a_slope * (upper - ay0) - bx0 - b_slope * (upper - by0)
        after = ax0 + a_slope * (lower - ay0) - bx0 - b_slope * (lower - by0)
        if before * after < 0:
            yield upper + (lower - upper) * (before / (before - after))


def _edges_at_same_height(edges: Iterable[Edge], work: Work) -> Iterator[tuple[Edge, Edge]]:
    """Pairs of edges that one horizontal line crosses. edges: from the top down."""
    active: list[Edge] = []
    for edge in edges:
        upper = edge[0]
        active = [other for other in active if other[2] > upper]
        work.spend(1 + len(active))
        for other in active:
            yield edge, other
        active.append(edge)


def _edges(rings: Iterable[Ring], region: int) -> list[Edge]:
    """The edges of closed outlines, each from its upper to its lower end."""
    return [
        (y0, x0, y1, x1, region) if y0 < y1 else (y1, x1, y0, x0, region)
        for ring in rings
        for (x0, y0), (x1, y1) in zip(ring, (*ring[1:], ring[0]), strict=True)
    ]


def _crossing(a: Edge, b: Edge) -> Point | None:
    """The point where two edges cross; None when they do not."""
    p, q, r, s = (a[1], a[0]), (a[3], a[2]), (b[1], b[0]), (b[3], b[2])
    if p in (r, s) or q in (r, s) or max(p[0], q[0]) < min(r[0], s[0]) or max(r[0], s[0]) < min(p[0], q[0]):
        return None
    if _side(p, q, r) * _side(p, q, s) >= 0 or _side(r, s, p) * _side(r, s, q) >= 0:
        return None
    dx, dy, ex, ey = q[0] - p[0], q[1] - p[1], s[0] - r[0], s[1] - r[1]
    across = dx * ey - dy * ex
    share = ((r[0] - p[0]) * ey - (r[1] - p[1]) * ex) / across if across else 0.5
    return p[0] + dx * share, p[1] + dy * share


def _side(p: Point, q: Point, r: Point) -> int:
    """The side of the line from p to q on which the point r lies: 1, -1, or 0 on the line.

    Exact: where rounding could change the sign, it is computed again in fractions.
    Source: Shewchuk 1997, the error bound of the orientation test.
    """
    one, other = (q[0] - p[0]) * (r[1] - p[1]), (q[1] - p[1]) * (r[0] - p[0])
    turned = one - other
    if abs(turned) <= 3.4e-16 * (abs(one) + abs(other)):
        (px, py), (qx, qy), (rx, ry) = ((Fraction(x), Fraction(y)) for x, y in (p, q, r))
        exactly = (qx - px) * (ry - py) - (qy - py) * (rx - px)
        return (exactly > 0) - (exactly < 0)
    return 1 if turned > 0 else -1


def _pieces(area: Area) -> Sequence[Shape]:
    return (area,) if isinstance(area, Shape) else area


def _rings(area: Area) -> list[Ring]:
    return [ring for shape in _pieces(area) for ring in shape.rings]


def _bounds(points: Sequence[Point]) -> Bounds:
    xs, ys = zip(*points, strict=True)
    return Bounds(min(xs), min(ys), max(xs), max(ys))


def _is_box(ring: Ring) -> bool:
    """Whether an outline is a rectangle with upright sides."""
    if len(ring) != 4:
        return False
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = ring
    return (ax == bx and by == cy and cx == dx and dy == ay) or (ay == by and bx == cx and cy == dy and dx == ax)
