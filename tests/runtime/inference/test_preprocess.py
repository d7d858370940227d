from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tectum.errors import DataError, ModelError
from tectum.inference import preprocess as pre
from tectum.inference.steps import View
from tectum.message import Kind
from tectum.testing.messages import make_message

sizes = st.integers(8, 60)


def _image(height: int = 20, width: int = 30) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 255, (height, width, 3)).astype(np.uint8)


def _source(view: View, x: float, y: float) -> tuple[float, float]:
    return view.left + x * view.scale_x, view.top + y * view.scale_y


def test_an_image_in_the_right_encoding_is_not_copied() -> None:
    message = make_message("camera/image", Kind.IMAGE, _image(), encoding="bgr8")
    assert np.shares_memory(pre.image_of(message, "bgr8"), message.array())


def test_encodings_are_converted() -> None:
    image = _image()
    bgr = make_message("camera/image", Kind.IMAGE, image, encoding="bgr8")
    assert np.array_equal(pre.image_of(bgr, "rgb8"), image[..., ::-1])
    mono = pre.image_of(bgr, "mono8")
    assert mono.shape == (20, 30)
    grey = make_message("camera/image", Kind.IMAGE, np.ascontiguousarray(mono), encoding="mono8")
    assert np.array_equal(pre.image_of(grey, "bgr8"), np.repeat(mono[..., None], 3, axis=2))


def test_a_jpeg_is_decoded() -> None:
    flat = np.full((16, 24, 3), (10, 100, 200), np.uint8)
    data = cv2.imencode(".jpg", flat)[1].reshape(-1)
    message = make_message("camera/image", Kind.IMAGE, data, encoding="jpeg")
    assert np.abs(pre.image_of(message, "bgr8").astype(int) - flat).max() <= 4
    assert np.abs(pre.image_of(message, "rgb8").astype(int) - flat[..., ::-1]).max() <= 4


def test_bytes_that_are_no_jpeg_are_refused_with_their_message() -> None:
    message = make_message("camera/image", Kind.IMAGE, np.zeros(9, np.uint8), seq=4,
                           encoding="jpeg")  # fmt: skip
    with pytest.raises(DataError, match="camera/image #4: its 9 bytes are not a JPEG"):
        pre.image_of(message, "bgr8")


def test_what_has_no_conversion_is_refused() -> None:
    depth = make_message("camera/depth", Kind.IMAGE, np.zeros((2, 2), np.float32), encoding="32FC1")
    with pytest.raises(ModelError, match="an image in 32FC1 cannot be turned into bgr8"):
        pre.image_of(depth, "bgr8")
    text = make_message("a/text", Kind.TEXT)
    with pytest.raises(ModelError, match="a/text carries text, the model wants images"):
        pre.image_of(text, "bgr8")


@given(height=sizes, width=sizes, to_height=sizes, to_width=sizes)
def test_resizing_maps_corners_to_corners(
    height: int, width: int, to_height: int, to_width: int
) -> None:
    view = pre.resize(View(_image(height, width)), width=to_width, height=to_height)
    assert view.array.shape == (to_height, to_width, 3)
    assert _source(view, 0, 0) == (0, 0)
    assert _source(view, to_width, to_height) == pytest.approx((width, height))


@given(height=sizes, width=sizes)
def test_a_letterbox_keeps_proportions_and_knows_where_the_image_lies(
    height: int, width: int
) -> None:
    view = pre.letterbox(View(np.full((height, width, 3), 9, np.uint8)), width=40, height=40)
    rows, columns = np.nonzero((view.array == 9).all(axis=2))
    left, top = _source(view, columns.min(), rows.min())
    right, bottom = _source(view, columns.max() + 1, rows.max() + 1)
    assert (left, top) == pytest.approx((0, 0), abs=1e-9)
    assert (right, bottom) == pytest.approx((width, height))
    assert view.array.shape == (40, 40, 3)


def test_crops_of_crops_know_their_place_in_the_source() -> None:
    image = _image(100, 200)
    view = pre.crop(View(image), region=[0.5, 0.2, 1.0, 1.0])
    view = pre.resize(view, width=50, height=40)
    view = pre.crop(view, region=[0.5, 0.5, 1.0, 1.0])
    assert _source(view, 0, 0) == pytest.approx((150, 60))
    assert _source(view, 25, 20) == pytest.approx((200, 100))


def test_tiles_are_views_of_their_own() -> None:
    views = pre.tiles(View(_image(10, 20)), regions=[[0, 0, 1, 1], [0.5, 0, 1, 0.5]])
    assert [view.array.shape[:2] for view in views] == [(10, 20), (5, 10)]
    assert [_source(view, 0, 0) for view in views] == [(0, 0), (10, 0)]


def test_around_a_box_is_square_with_a_margin_and_ends_at_the_edge() -> None:
    image = _image(100, 100)
    view = pre.around(View(image, box=(40, 30, 60, 70)), margin=0.1, square=True)
    assert _source(view, 0, 0) == (26, 26)
    assert view.array.shape[:2] == (48, 48)
    at_edge = pre.around(View(image, box=(0, 0, 20, 20)), margin=0.5)
    assert at_edge.array.shape[:2] == (30, 30)
    whole = pre.around(View(image), margin=0.1)
    assert whole.array is image


@pytest.mark.parametrize("box", [(30, 30, 30, 30), (100, 100, 100, 100), (-9, -9, -5, -5)])
def test_a_box_without_area_still_gives_a_pixel(box: tuple[float, float, float, float]) -> None:
    view = pre.around(View(_image(100, 100), box=box))
    assert view.array.shape == (1, 1, 3)
    assert pre.resize(view, width=4, height=4).array.shape == (4, 4, 3)


def test_normalising_by_hand() -> None:
    pixels = View(np.array([[[0, 127, 255]]], np.uint8))
    assert pre.normalise(pixels, scale=1 / 255).array == pytest.approx(
        np.array([[[0, 127 / 255, 1]]])
    )
    shifted = pre.normalise(pixels, mean=[0, 127, 155], std=[1, 2, 100]).array
    assert shifted.dtype == np.float32
    assert shifted == pytest.approx(np.array([[[0, 0, 1]]]))


def test_layouts() -> None:
    image = _image(4, 6)
    planes = pre.layout(View(image), order="hwc->chw").array
    assert planes.shape == (3, 4, 6)
    assert planes.flags.c_contiguous
    assert np.array_equal(planes[1], image[..., 1])
    assert pre.layout(View(image[..., 0]), order="hw->hwc").array.shape == (4, 6, 1)
    with pytest.raises(ModelError, match="layout: 'chw' is not"):
        pre.layout(View(image), order="chw")


def test_sound_is_scaled_and_padded_before() -> None:
    sound = pre.pcm(View(np.array([-32768, 0, 16384], np.int16)))
    assert sound.array.tolist() == [-1.0, 0.0, 0.5]
    assert pre.pad_audio(sound, samples=5).array.tolist() == [0, 0, -1, 0, 0.5]
    assert pre.pad_audio(sound, samples=2).array.tolist() == [0, 0.5]


def test_points_are_cropped_by_range_and_brought_to_a_number() -> None:
    points = np.array([[1, 0, 0, 9], [50, 0, 0, 8], [5, -3, 0, 7]], np.float32)
    near = pre.range_crop(View(points), x=[0, 40], y=[-2, 2]).array
    assert near[:, 3].tolist() == [9]
    assert pre.pad_points(View(points), points=5).array[3:].tolist() == [[0] * 4] * 2
    assert pre.pad_points(View(points), points=2).array[:, 3].tolist() == [9, 7]


def test_cast_changes_the_type_only() -> None:
    view = pre.cast(View(np.array([1, 2], np.uint8)), dtype="float32")
    assert view.array.dtype == np.float32
    assert view.array.tolist() == [1, 2]


def test_colours_can_be_swapped_in_a_step() -> None:
    image = _image(2, 2)
    swapped = pre.colour(View(image), source="bgr8", target="rgb8").array
    assert np.array_equal(swapped, image[..., ::-1])
