from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tectum.errors import ModelError
from tectum.inference import postprocess as post
from tectum.inference.postprocess import Piece
from tectum.inference.steps import View
from tectum.inference.yunet import priors

PLAIN = View(np.zeros((352, 352, 3)))


@st.composite
def box_lists(draw: st.DrawFn) -> np.ndarray:
    """Boxes with whole-numbered corners, distinct scores, and one of two labels."""
    count = draw(st.integers(0, 12))
    rows = []
    for index in range(count):
        x, y = draw(st.integers(0, 40)), draw(st.integers(0, 40))
        width, height = draw(st.integers(1, 20)), draw(st.integers(1, 20))
        rows.append((x, y, x + width, y + height, 1 - index / 100, draw(st.integers(0, 1))))
    return np.array(rows, np.float32).reshape(-1, 6)


def test_sigmoid_and_softmax_do_not_overflow() -> None:
    piece = Piece({"x": np.array([[-1000.0, 0.0, 1000.0]])}, PLAIN)
    assert post.sigmoid([piece], tensor="x")[0].arrays["x"].tolist() == [[0.0, 0.5, 1.0]]
    assert post.softmax([piece], tensor="x")[0].arrays["x"].tolist() == [[0.0, 0.0, 1.0]]


def _cells(**values: float) -> np.ndarray:
    """A map of FastestDet with one lively cell, at row 10, column 5."""
    raw = np.zeros((1, 85, 22, 22), np.float32)
    raw[0, 0, 10, 5] = values.get("objectness", 0.81)
    raw[0, 1:5, 10, 5] = [values.get(name, 0.0) for name in ("tx", "ty", "tw", "th")]
    raw[0, 5 + 2, 10, 5] = values.get("car", 0.64)
    return raw


def test_fastestdet_by_hand() -> None:
    (piece,) = post.fastestdet([Piece({"m": _cells()}, PLAIN)], tensor="m", min_score=0.3)
    (box,) = piece.arrays["boxes"]
    # centred on the cell's corner, half as wide as the image: sigmoid(0) = 0.5
    assert box[:4] == pytest.approx([80 - 88, 160 - 88, 80 + 88, 160 + 88])
    assert box[4] == pytest.approx(0.81**0.6 * 0.64**0.4)
    assert box[5] == 2


def test_fastestdet_moves_the_centre_by_tanh_and_the_size_by_sigmoid() -> None:
    raw = _cells(tx=0.5493061, ty=-0.5493061, tw=-1.0986123, th=1.0986123)  # 0.5, -0.5, 1/4, 3/4
    (piece,) = post.fastestdet([Piece({"m": raw}, PLAIN)], tensor="m")
    x1, y1, x2, y2 = piece.arrays["boxes"][0, :4]
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx((5.5 * 16, 9.5 * 16), abs=1e-3)
    assert (x2 - x1, y2 - y1) == pytest.approx((88, 264), abs=1e-3)


def test_boxes_come_back_in_pixels_of_the_source_and_end_at_its_edge() -> None:
    view = View(np.zeros((3, 352, 352)), 100.0, 50.0, 2.0, 0.5, size=(400, 120))
    (piece,) = post.fastestdet([Piece({"m": _cells()}, view)], tensor="m")
    assert piece.arrays["boxes"][0, :4] == pytest.approx([84, 86, 400, 120])


def test_a_low_score_is_no_box() -> None:
    (piece,) = post.fastestdet([Piece({"m": _cells()}, PLAIN)], tensor="m", min_score=0.9)
    assert piece.arrays["boxes"].shape == (0, 6)


def test_ultraface_takes_the_face_column_and_scales_the_boxes() -> None:
    scores = np.array([[[0.9, 0.1], [0.2, 0.8]]], np.float32)
    boxes = np.array([[[0, 0, 1, 1], [0.25, 0.5, 0.5, 1.0]]], np.float32)
    view = View(np.zeros((3, 240, 320)), scale_x=2.0, scale_y=2.0)
    (piece,) = post.ultraface([Piece({"s": scores, "b": boxes}, view)], scores="s", boxes="b")
    (box,) = piece.arrays["boxes"]
    assert box == pytest.approx([160, 240, 320, 480, 0.8, 0])


def test_suppression_by_hand() -> None:
    boxes = np.array(
        [[0, 0, 10, 10, 0.8, 0], [1, 0, 11, 10, 0.9, 0], [20, 0, 30, 10, 0.7, 0],
         [1, 0, 11, 10, 0.6, 1], [2, 2, 6, 6, 0.5, 0]], np.float32,
    )  # fmt: skip
    # the first overlaps the second by 90/110; the fourth has another label; the last is inside
    assert post.suppress(boxes, 0.45)[:, 4] == pytest.approx([0.9, 0.7, 0.6, 0.5])
    assert post.suppress(boxes, 0.45, 0.8)[:, 4] == pytest.approx([0.9, 0.7, 0.6])
    assert len(post.suppress(boxes, 0.9)) == 5


@given(boxes=box_lists())
def test_suppressing_twice_is_suppressing_once(boxes: np.ndarray) -> None:
    once = post.suppress(boxes, 0.45)
    assert np.array_equal(post.suppress(once, 0.45), once)


@given(boxes=box_lists())
def test_what_is_kept_does_not_overlap_and_the_best_is_kept(boxes: np.ndarray) -> None:
    kept = post.suppress(boxes, 0.45)
    assert np.all(np.diff(kept[:, 4]) <= 0)
    for index, box in enumerate(kept):
        rest = kept[index + 1 :]
        over_union, _ = post.iou(box, rest)
        assert np.all(over_union[rest[:, 5] == box[5]] <= 0.45)
    if len(boxes):
        assert kept[0, 4] == boxes[:, 4].max()


@given(boxes=box_lists(), seed=st.integers(0, 50))
def test_the_order_of_boxes_does_not_matter(boxes: np.ndarray, seed: int) -> None:
    shuffled = np.random.default_rng(seed).permutation(boxes)
    assert np.array_equal(post.suppress(boxes, 0.3), post.suppress(shuffled, 0.3))


def test_views_are_merged_before_boxes_are_suppressed() -> None:
    one = Piece({"boxes": np.array([[0, 0, 10, 10, 0.5, 0]], np.float32)}, PLAIN)
    other = Piece({"boxes": np.array([[0, 0, 10, 9, 0.6, 0]], np.float32)}, PLAIN)
    (merged,) = post.nms([one, other], iou=0.45)
    assert merged.arrays["boxes"][:, 4] == pytest.approx([0.6])


def test_a_tensor_that_is_not_there_is_named_with_those_that_are() -> None:
    piece = Piece({"logits": np.zeros(2)}, PLAIN)
    with pytest.raises(ModelError, match="no tensor 'logit'; there are: logits; did you mean"):
        post.softmax([piece], tensor="logit")


def test_labels_can_be_chosen() -> None:
    boxes = np.array([[0, 0, 1, 1, 0.5, 0], [0, 0, 1, 1, 0.4, 7]], np.float32)
    (piece,) = post.choose([Piece({"boxes": boxes}, PLAIN)], labels=[7, 2])
    assert piece.arrays["boxes"][:, 5].tolist() == [7]


def test_the_best_score_of_no_boxes_is_0() -> None:
    empty = Piece({"boxes": np.zeros((0, 6), np.float32)}, PLAIN)
    (piece,) = post.best_score([empty], result="there")
    assert piece.arrays["there"].tolist() == [0.0]


def test_yunets_priors_lie_row_by_row_over_four_strides() -> None:
    prior = priors(120, 160)
    assert prior.shape == (1076, 4)  # 15 x 20 x 3 + 7 x 10 x 2 + 3 x 5 x 2 + 1 x 2 x 3
    assert prior[0] == pytest.approx([4 / 160, 4 / 120, 10 / 160, 10 / 120])
    assert prior[3] == pytest.approx([12 / 160, 4 / 120, 10 / 160, 10 / 120])
    assert prior[60] == pytest.approx([4 / 160, 12 / 120, 10 / 160, 10 / 120])
    assert prior[900] == pytest.approx([8 / 160, 8 / 120, 32 / 160, 32 / 120])
    assert prior[-1] == pytest.approx([96 / 160, 32 / 120, 256 / 160, 256 / 120])


def test_yunets_boxes_and_landmarks_by_hand() -> None:
    loc, conf = np.zeros((1076, 14), np.float32), np.zeros((1076, 2), np.float32)
    loc[900, :4] = [
        1,
        -1,
        np.log(2) / 0.2,
        0,
    ]  # centre moved by a tenth of the prior, twice as wide
    loc[900, 6:8] = [5, 0]  # the left eye half a prior to the right
    conf[900, 1], overlap = 0.81, np.full((1076, 1), 1.44, np.float32)  # which counts as 1
    piece = Piece({"loc": loc, "conf": conf, "iou": overlap}, View(np.zeros((3, 120, 160))))
    (found,) = post.landmarks(post.yunet([piece], loc="loc", conf="conf", iou="iou"), result="at")
    ((x1, y1, x2, y2, score, label),) = found.arrays["boxes"].tolist()
    # the prior is 32 x 32 at (8, 8)
    assert (x1, y1, x2, y2) == pytest.approx((11.2 - 32, 4.8 - 16, 11.2 + 32, 4.8 + 16), abs=1e-4)
    assert (score, label) == (pytest.approx(0.9), 0)
    assert found.arrays["at"].shape == (1, 5, 2)
    assert found.arrays["at"][0, :2].ravel() == pytest.approx([8, 8, 24, 8], abs=1e-4)


def test_the_best_of_some_classes_is_their_highest_and_must_exist() -> None:
    piece = Piece({"classes": np.array([[0.1, 0.7, 0.4]], np.float32)}, PLAIN)
    (found,) = post.best_of([piece], tensor="classes", classes=[0, 2], result="siren")
    assert found.arrays["siren"] == pytest.approx([0.4])
    with pytest.raises(ModelError, match=r"'classes' has the classes 0 to 2; found \[0, 3\]"):
        post.best_of([piece], tensor="classes", classes=[0, 3], result="siren")
