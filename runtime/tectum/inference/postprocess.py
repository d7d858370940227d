"""Postprocessing: the steps between a model's tensors and what its stage gives.

A step takes the `Pieces` of a run (one per view that preprocessing made) and gives them back. The
decoders turn tensors into `boxes`: float32 (n, 6), columns `BOX_COLUMNS`, in pixels of the source
image. `merge` puts the pieces of several views together; boxes need `nms` after it. `STEPS` is the
table that manifests name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tectum.errors import ModelError, nearest_name
from tectum.inference.steps import Step, View
from tectum.inference.yunet import candidates
from tectum.message import AnyArray

__all__ = ["BOX_COLUMNS", "STEPS", "Piece", "apply", "iou", "suppress"]

Floats = NDArray[np.float32]

BOX_COLUMNS = ("x1_px", "y1_px", "x2_px", "y2_px", "score", "label")
"""Columns of boxes; `label` is an index into the output's labels."""


class Piece(NamedTuple):
    """The tensors of one run and the view that they came from."""

    arrays: Mapping[str, AnyArray]
    view: View

    def tensor(self, name: str) -> AnyArray:
        """Return the tensor called `name`.

        Raises:
            ModelError: there is none.
        """
        if name not in self.arrays:
            known, close = ", ".join(self.arrays), nearest_name(name, self.arrays)
            msg = f"postprocess: there is no tensor {name!r}; there are: {known}{close}"
            raise ModelError(msg)
        return self.arrays[name]

    def having(self, name: str, array: AnyArray) -> Piece:
        """Return the piece with `array` under `name`."""
        return Piece({**self.arrays, name: array}, self.view)


def apply(steps: Sequence[Step], pieces: list[Piece]) -> dict[str, AnyArray]:
    """Return the arrays that `steps` make of the runs on one sample, by name."""
    for step in steps:
        pieces = step(pieces)
    merged = pieces[0] if len(pieces) == 1 else merge(pieces)[0]
    return dict(merged.arrays)


def merge(pieces: list[Piece]) -> list[Piece]:
    """Join the pieces of several views along the first axis; one piece stays as it is."""
    if len(pieces) == 1:
        return pieces
    names = pieces[0].arrays
    joined = {name: np.concatenate([piece.arrays[name] for piece in pieces]) for name in names}
    return [Piece(joined, pieces[0].view)]


def sigmoid(pieces: list[Piece], *, tensor: str) -> list[Piece]:
    """Return `1 / (1 + exp(-x))`, written with tanh, which cannot overflow."""
    return [_map(piece, tensor, lambda x: 0.5 * (1 + np.tanh(0.5 * x))) for piece in pieces]


def softmax(pieces: list[Piece], *, tensor: str) -> list[Piece]:
    """Return the softmax over the last axis."""

    def of(x: Floats) -> Floats:
        raised = np.exp(x - x.max(axis=-1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=-1, keepdims=True))

    return [_map(piece, tensor, of) for piece in pieces]


def fastestdet(pieces: list[Piece], *, tensor: str, min_score: float = 0.25) -> list[Piece]:
    """Decode FastestDet's map (1, 5 + classes, H, W) into `boxes`.

    A cell holds objectness, tx, ty, tw, th and class probabilities. Its box is centred on
    `(column + tanh(tx)) / W` and `sigmoid(tw)` wide, in shares of the input; its score is
    `objectness^0.6 * class^0.4`. Source: dog-qiuqiu/FastestDet, its C++ example.
    """
    return [
        piece.having("boxes", _fastestdet(piece.tensor(tensor), piece.view, min_score))
        for piece in pieces
    ]


def _fastestdet(raw: AnyArray, view: View, min_score: float) -> Floats:
    cells: Floats = np.asarray(raw[0], np.float32)
    rows, columns = cells.shape[1:]
    label = cells[5:].argmax(axis=0)
    score = cells[0] ** 0.6 * cells[5:].max(axis=0) ** 0.4
    y, x = np.nonzero(score >= min_score)
    tx, ty, tw, th = cells[1:5, y, x]
    half_w, half_h = 0.5 / (1 + np.exp(-tw)), 0.5 / (1 + np.exp(-th))
    centre_x, centre_y = (x + np.tanh(tx)) / columns, (y + np.tanh(ty)) / rows
    corners = (centre_x - half_w, centre_y - half_h, centre_x + half_w, centre_y + half_h)
    shares = np.stack([*corners, score[y, x], label[y, x]], axis=1)
    return _to_source(shares, view)


def ultraface(
    pieces: list[Piece], *, scores: str, boxes: str, min_score: float = 0.7
) -> list[Piece]:
    """Take UltraFace's candidates (1, n, 2) and (1, n, 4) as `boxes`; label 0 is a face.

    The boxes are shares of the input, decoded inside the graph. Source:
    Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB.
    """

    def of(piece: Piece) -> Floats:
        score = piece.tensor(scores)[0, :, 1:2].astype(np.float32, copy=False)
        shares = np.concatenate([piece.tensor(boxes)[0], score, np.zeros_like(score)], axis=1)
        return _to_source(shares[score[:, 0] >= min_score], piece.view)

    return [piece.having("boxes", of(piece)) for piece in pieces]


def yunet(
    pieces: list[Piece], *, loc: str, conf: str, iou: str, min_score: float = 0.6
) -> list[Piece]:
    """Decode YuNet's candidates into `boxes` with landmarks behind: float32 (n, 6 + 2 x 5).

    See `tectum.inference.yunet`; follow it with `nms` and `landmarks`.
    """

    def of(piece: Piece) -> Floats:
        raw = [piece.tensor(name).astype(np.float32, copy=False) for name in (loc, conf, iou)]
        shares = candidates(raw[0], raw[1], raw[2], _size(piece.view.array))
        return _to_source(shares[shares[:, 4] >= min_score], piece.view)

    return [piece.having("boxes", of(piece)) for piece in pieces]


def landmarks(pieces: list[Piece], *, result: str) -> list[Piece]:
    """Give what is behind the columns of `boxes` as `result`: float32 (n, points, 2), x y."""
    (piece,) = merge(pieces)
    boxes, count = piece.tensor("boxes"), len(BOX_COLUMNS)
    points = (boxes.shape[1] - count) // 2
    marks = boxes[:, count:].reshape(len(boxes), points, 2)
    return [piece.having("boxes", boxes[:, :count]).having(result, marks)]


def _to_source(shares: NDArray[Any], view: View) -> Floats:
    """Bring boxes, and landmarks behind them, from shares of a view to pixels of the source.

    Boxes are cut at the image's edge.
    """
    height, width = _size(view.array)
    result = shares.astype(np.float32)
    across = [0, 2, *range(len(BOX_COLUMNS), shares.shape[1], 2)]
    down = [column + 1 for column in across]
    result[:, across] = view.left + shares[:, across] * width * view.scale_x
    result[:, down] = view.top + shares[:, down] * height * view.scale_y
    if view.size is not None:
        np.clip(result[:, :4], 0, (*view.size, *view.size), out=result[:, :4])
    return result


def _size(array: AnyArray) -> tuple[int, int]:
    """Return height and width of an image in HW, HWC or CHW layout."""
    channels_first = array.ndim == 3 and array.shape[0] <= 4 < array.shape[2]
    return array.shape[1:3] if channels_first else array.shape[:2]


def choose(pieces: list[Piece], *, labels: Sequence[int]) -> list[Piece]:
    """Keep the boxes whose label index is one of `labels`."""
    return [
        _map(piece, "boxes", lambda boxes: boxes[np.isin(boxes[:, 5], labels)]) for piece in pieces
    ]


def nms(pieces: list[Piece], *, iou: float = 0.45, contained: float = 1.0) -> list[Piece]:
    """Merge the views and keep the best of boxes that overlap; see `suppress`."""
    (piece,) = merge(pieces)
    return [_map(piece, "boxes", lambda boxes: suppress(boxes, iou, contained))]


def best_score(pieces: list[Piece], *, result: str) -> list[Piece]:
    """Give the highest score of the boxes, float32 (1,), 0 where there are none, as `result`."""
    (piece,) = merge(pieces)
    scores = piece.tensor("boxes")[:, 4]
    return [piece.having(result, np.array([scores.max(initial=0.0)], np.float32))]


def best_of(
    pieces: list[Piece], *, tensor: str, classes: Sequence[int], result: str
) -> list[Piece]:
    """Give the highest of some classes' probabilities, float32 (1,), as `result`.

    `tensor` is (1, classes) or (classes,): what a siren is goes by several names.
    """
    (piece,) = merge(pieces)
    every = piece.tensor(tensor).reshape(-1)
    wrong = [number for number in classes if not 0 <= number < len(every)]
    if wrong or not classes:
        msg = f"best_of: {tensor!r} has the classes 0 to {len(every) - 1}; found {list(classes)}"
        raise ModelError(msg)
    return [piece.having(result, every[list(classes)].max(keepdims=True).astype(np.float32))]


def suppress(boxes: Floats, most: float, contained: float = 1.0) -> Floats:
    """Return the boxes, best first, without those that a better one of their label covers.

    Greedy non-maximum suppression: a box goes when its intersection over union with a better one
    exceeds `most`, or when more than the share `contained` of it lies inside the better one (a
    part of a car seen again by a close-up view; 1 turns this off).
    """
    left = boxes[np.argsort(-boxes[:, 4], kind="stable")]
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        over_union, over_own = iou(best, left)
        covered = (over_union > most) | (over_own > contained)
        left = left[~(covered & (left[:, 5] == best[5]))]
    return np.stack(kept) if kept else boxes[:0]


def iou(box: Floats, others: Floats) -> tuple[Floats, Floats]:
    """Return intersection over union of `box` with each of `others`, and over the other's area."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:4], others[:, 2:4])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    own = np.prod(others[:, 2:4] - others[:, :2], axis=1)
    union = np.prod(box[2:4] - box[:2]) + own - shared
    return shared / np.maximum(union, 1e-9), shared / np.maximum(own, 1e-9)


def _map(piece: Piece, tensor: str, function: Any) -> Piece:
    return piece.having(tensor, function(piece.tensor(tensor)))


STEPS: Mapping[str, Callable[..., Any]] = {
    "sigmoid": sigmoid,
    "softmax": softmax,
    "fastestdet": fastestdet,
    "ultraface": ultraface,
    "yunet": yunet,
    "landmarks": landmarks,
    "choose": choose,
    "nms": nms,
    "best_score": best_score,
    "best_of": best_of,
}
