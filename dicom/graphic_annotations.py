"""The Graphic Annotation and Graphic Layer Modules of a presentation state (PS3.3 C.10.5, C.10.7)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy
from pydicom.dataset import Dataset

from dicom.colour import Colour, cielab_to_rgb
from dicom.graphics import KINDS, WHITE, Graphic, GraphicLayer, Points, Text
from dicom.scopes import first_number

# More than these are not drawn: no reader could tell them apart, and they take time. Each object counts as so many.
_MOST_POINTS, _MOST_LETTERS = 50_000, 20_000
_COST = 50
_LONGEST_TEXT = 1024  # ST (PS3.5 6.2)
_UNITS = {"PIXEL": False, "DISPLAY": True}
_BROKEN = (TypeError, ValueError, AttributeError, KeyError, IndexError, NotImplementedError)


def graphic_layers(data_set: Dataset, annotations: Iterable[Dataset]) -> tuple[GraphicLayer, ...]:
    """The layers of the state in their order, with what ``annotations``, the items about one image, draw on them.

    An annotation on a layer that is nowhere described comes last, in white. Objects that are broken, and those in
    MATRIX units, are left out.
    """
    layers = {layer.name: layer for layer in map(_layer, data_set.get("GraphicLayerSequence") or ())}
    last = max((layer.order for layer in layers.values()), default=0)
    points, letters = _MOST_POINTS, _MOST_LETTERS
    for item in annotations:
        name = str(item.get("GraphicLayer") or "")
        layer = layers.get(name) or GraphicLayer(name, order=last)
        graphics, texts = list(layer.graphics), list(layer.texts)
        for each in item.get("GraphicObjectSequence") or ():
            if (points := points - _COST) <= 0:
                break
            with suppress(*_BROKEN):
                graphics.append(_graphic(each, points))
                points -= len(graphics[-1].points)
        for each in item.get("TextObjectSequence") or ():
            if (letters := letters - _COST) <= 0:
                break
            with suppress(*_BROKEN):
                texts.append(_text(each))
                letters -= len(texts[-1].text)
        layers[name] = replace(layer, graphics=tuple(graphics), texts=tuple(texts))
    return tuple(sorted(layers.values(), key=lambda layer: layer.order))


def _layer(item: Dataset) -> GraphicLayer:
    order = first_number(item, "GraphicLayerOrder")
    return GraphicLayer(str(item.get("GraphicLayer") or ""), int(order or 0), _colour(item))


def _colour(item: Dataset) -> Colour:
    """GraphicLayerRecommendedDisplayCIELabValue, else the grayscale value (a P-Value of 16 bits), else white."""
    lab = cielab_to_rgb(item.get("GraphicLayerRecommendedDisplayCIELabValue"))
    grey = first_number(item, "GraphicLayerRecommendedDisplayGrayscaleValue")
    if lab is None and grey is not None:
        shade = min(255, max(0, round(grey / 257)))
        return (shade, shade, shade)
    return lab or WHITE


def _graphic(item: Dataset, most: int) -> Graphic:
    kind, display = str(item.GraphicType), _UNITS[str(item.GraphicAnnotationUnits)]
    if kind not in KINDS:
        raise ValueError
    return Graphic(kind, _points(item.GraphicData, most), display, item.get("GraphicFilled") == "Y")


def _text(item: Dataset) -> Text:
    text = "\n".join(str(item.UnformattedTextValue)[:_LONGEST_TEXT].splitlines())
    box, box_display = None, False
    if item.get("BoundingBoxTopLeftHandCorner") is not None:
        corners = (*item.BoundingBoxTopLeftHandCorner, *item.BoundingBoxBottomRightHandCorner)
        box, box_display = _points(corners), _UNITS[str(item.BoundingBoxAnnotationUnits)]
    anchor, anchor_display = None, False
    if item.get("AnchorPoint") is not None:
        anchor, anchor_display = _points(item.AnchorPoint)[:1], _UNITS[str(item.AnchorPointAnnotationUnits)]
    if box is None and anchor is None:
        raise ValueError
    justification = str(item.get("BoundingBoxTextHorizontalJustification") or "LEFT")
    return Text(text, box, box_display, justification, anchor, anchor_display, item.get("AnchorPointVisibility") == "Y")


def _points(values: Any, most: int = 2) -> Points:
    numbers = numpy.array([float(each) for each in values[: 2 * most]], numpy.float64)
    return numbers.reshape(-1, 2)
