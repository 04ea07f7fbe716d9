"""Vessels, airways and gut: chains of spheres in space, painted where a cross-section cuts them."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .canvas import Box, Canvas, coverage
from .fields import Curve, Floats, uniform

Point = tuple[float, float, float, float]


def chain(points: Sequence[Point], step: float = 0.5) -> Floats:
    """Spheres (n, 4: x, y, z, radius in mm) along a smooth path through `points`, `step` radii apart."""
    lengths = [0.0]
    for p, q in itertools.pairwise(points):
        lengths.append(lengths[-1] + round(math.dist(p[:3], q[:3]), 6))
    curves = [Curve([(at, point[axis]) for at, point in zip(lengths, points, strict=True)]) for axis in range(4)]
    spheres: list[list[float]] = []
    at = 0.0
    while at <= lengths[-1]:
        sphere = [curve(at) for curve in curves]
        spheres.append(sphere)
        at += max(sphere[3] * step, 0.5)
    return np.array(spheres, np.float32)


def tree(name: str, root: Point, targets: npt.NDArray[np.float64], tip: float, exponent: float) -> Floats:
    """Spheres of a branching tree that reaches all `targets` (n, 3) in mm.

    Each target is joined to the nearest node grown so far. A branch is as wide as the number of tips it feeds, raised
    to `1 / exponent` (Murray's law has 3), starts from `tip` mm and is never wider than the root.
    """
    start = np.array(root[:3], np.float64)
    away = targets - start
    away *= away
    order = np.argsort(away[:, 0] + away[:, 1] + away[:, 2], kind="stable")
    jitter = uniform(name, len(targets) * 12, 3).astype(np.float64)
    nodes = np.empty((len(targets) * 12 + 1, 3), np.float64)
    nodes[0] = start
    parents = [-1]
    depth = np.zeros(len(nodes), np.float64)
    for target in targets[order]:
        count = len(parents)
        gap = nodes[:count] - target
        square = gap[:, 0] * gap[:, 0] + gap[:, 1] * gap[:, 1] + gap[:, 2] * gap[:, 2]
        # The way back to the root counts too, else branches wander instead of fanning out.
        nearest = int(np.argmin(np.sqrt(square) + depth[:count] * 0.45))
        origin = nodes[nearest].copy()
        pieces = min(max(int(math.sqrt(square[nearest]) / 5), 1), 11)
        parent = nearest
        for piece in range(1, pieces + 1):
            index = len(parents)
            nodes[index] = origin + (target - origin) * (piece / pieces) + jitter[index - 1] * 1.1
            parents.append(parent)
            step = nodes[index] - nodes[parent]
            depth[index] = depth[parent] + math.sqrt(step[0] * step[0] + step[1] * step[1] + step[2] * step[2])
            parent = index
    feeds = [0] * len(parents)
    for index in range(len(parents) - 1, 0, -1):
        feeds[index] = max(feeds[index], 1)
        feeds[parents[index]] += feeds[index]
    spheres: list[tuple[float, float, float, float]] = []
    for index in range(1, len(parents)):
        radius = min(round(tip * feeds[index] ** (1 / exponent), 4), root[3])
        a, b = nodes[parents[index]], nodes[index]
        pieces = max(int(round(math.dist(a, b), 6) / max(0.7 * radius, 0.7)), 1)
        for piece in range(1, pieces + 1):
            x, y, z = (a + (b - a) * (piece / pieces)).tolist()
            spheres.append((x, y, z, radius))
    return np.array(spheres, np.float32)


def stamp(canvas: Canvas, spheres: Floats, z: float, softness: float = 1.0) -> Floats:
    """How much of each sample many small spheres cover at height z: (rows, columns), 0 to 1."""
    rows, columns = canvas.shape
    covered = np.zeros((rows, columns), np.float32)
    near = spheres[np.abs(spheres[:, 2] - z) < spheres[:, 3] + softness / 2]
    for low, high in ((0.0, 1.3), (1.3, 3.0), (3.0, 6.0), (6.0, 12.0)):
        some = near[(near[:, 3] > low) & (near[:, 3] <= high)]
        if not len(some):
            continue
        half = int((high + softness) / canvas.spacing) + 1
        window = np.arange(-half, half + 1)
        column = ((some[:, 0] - canvas.left) / np.float32(canvas.spacing)).astype(np.int64)[:, None] + window
        row = ((some[:, 1] - canvas.top) / np.float32(canvas.spacing)).astype(np.int64)[:, None] + window
        column, row = np.clip(column, 0, columns - 1), np.clip(row, 0, rows - 1)
        dx = canvas.straight_x[0][column] - some[:, 0, None]
        dy = canvas.straight_y[:, 0][row] - some[:, 1, None]
        dz = some[:, 2] - np.float32(z)
        square = (dx * dx)[:, None, :] + (dy * dy)[:, :, None] + (dz * dz)[:, None, None]
        part = coverage(np.sqrt(square) - some[:, 3, None, None], softness)
        np.maximum.at(
            covered.reshape(-1), (row[:, :, None] * columns + column[:, None, :]).reshape(-1), part.reshape(-1)
        )
    return covered


def tube_distance(canvas: Canvas, spheres: Floats, z: float, wall: float = 0.0) -> tuple[Box, Floats] | None:
    """Distance to a wide tube at height z, following the warp of the canvas, on a box that fits it and its `wall`."""
    away = spheres[:, 2] - np.float32(z)
    rest = spheres[:, 3] * spheres[:, 3] - away * away
    near = rest > 0.05
    if not near.any():
        return None
    x, y, radius = spheres[near, 0], spheres[near, 1], np.sqrt(rest[near])
    reach = radius + np.float32(wall)
    box = canvas.box(
        float((x - reach).min()), float((y - reach).min()), float((x + reach).max()), float((y + reach).max())
    )
    px, py = canvas.x[box], canvas.y[box]
    distance = np.full(px.shape, np.float32(1e6))
    for index in range(len(x)):
        dx, dy = px - x[index], py - y[index]
        distance = np.minimum(distance, np.sqrt(dx * dx + dy * dy) - radius[index])
    return box, distance


def paint_tube(
    canvas: Canvas, spheres: Floats, z: float, value: float, wall: float = 0.0, wall_value: float = 0.0
) -> None:
    """Paint a wide tube, with a `wall` of some mm around it."""
    found = tube_distance(canvas, spheres, z, wall)
    if not found:
        return
    box, distance = found
    if wall:
        canvas.paint(box, distance - np.float32(wall), wall_value)
    canvas.paint(box, distance, value)
