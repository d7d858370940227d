"""Cameras are read newest first, stamped as their source allows, and waited for when they go."""

import http.server
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.errors import ConfigError, DataError, DeviceError
from tectum.message import Kind, Message
from tectum.node.base import Capture
from tectum.testing import FakeClock, MemoryContext
from tectum.testing.waiting import until
from tectum_nodes.camera import CameraConfig, CameraNode
from tectum_nodes.camera_sources import Wish, without_password
from tectum_nodes.mjpeg import mjpeg_frames

EPOCH_NS = 1_000_000_000_000
WISH = Wish(0, 0, 0.0, NS_PER_S)
SYSTEM_PYTHON = Path("/usr/bin/python3")


def picture(number: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    """Return a picture whose grey tells its number."""
    return np.full((size[1], size[0], 3), number % 250, np.uint8)


def jpeg(number: int) -> bytes:
    done, data = cv2.imencode(".jpg", picture(number))
    assert done
    return data.tobytes()


class MjpegServer:
    """An MJPEG camera on loopback with settable manners; `killed` and `revived` on one port."""

    def __init__(self, port: int = 0, **manners: Any) -> None:
        self.manners = {"lengths": True, "stamps": True, "rate_hz": 50, "pieces": 10**9} | manners
        self.connections: list[socket.socket] = []
        self.clock = GraphClock()
        self.sent = 0
        self._ending = threading.Event()
        camera = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera.connections.append(self.connection)
                camera.serve(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/stream"

    def serve(self, request: http.server.BaseHTTPRequestHandler) -> None:
        if self.manners.get("password") and "Authorization" not in request.headers:
            request.send_error(401)
            return
        request.send_response(200)
        kind = self.manners.get("kind", "multipart/x-mixed-replace; boundary=frame")
        request.send_header("Content-Type", kind)
        request.end_headers()
        try:
            for number in range(self.manners["pieces"]):
                if self._ending.wait(1 / self.manners["rate_hz"]):
                    return
                request.wfile.write(self._part(number))
                self.sent += 1
            self._ending.wait()  # says nothing more, and keeps the connection
        except OSError:
            return

    def _part(self, number: int) -> bytes:
        data = b"no picture" if number in self.manners.get("damaged", ()) else jpeg(number)
        head = "--frame\r\nContent-Type: image/jpeg\r\n"
        if self.manners["lengths"]:
            head += f"Content-Length: {len(data)}\r\n"
        if self.manners["stamps"]:
            stamp_ns = self.clock.now_ns() + self.manners.get("offset_ns", 0)
            head += f"X-Timestamp: {stamp_ns // NS_PER_S}.{stamp_ns % NS_PER_S:09}\r\n"
        return head.encode() + b"\r\n" + data + b"\r\n"

    def kill(self) -> None:
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()


@pytest.fixture
def servers() -> Iterator[list[MjpegServer]]:
    running: list[MjpegServer] = []
    yield running
    for server in running:
        server.kill()


class Watch:
    """A camera node that runs in threads of its own, on the real clock."""

    def __init__(self, **config: object) -> None:
        self.clock = GraphClock()
        self.node = CameraNode(CameraConfig.model_validate(config))
        self.messages: list[Message] = []
        self.error: BaseException | None = None
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,))
        self._thread.start()
        ready.wait()

    def _run(self, ready: threading.Event) -> None:
        run = {"offset_ns": self.clock.offset_ns}
        self.context = MemoryContext("camera", clock=self.clock, run=run)
        self.context.record("image")
        try:
            self.node.open(self.context)
            ready.set()
            self.node.run(self.context)
        except BaseException as error:
            self.error = error
            ready.set()

    def pictures(self) -> list[Message]:
        self.messages += self.context.sent("image")
        return [message for message in self.messages if message.header.kind is Kind.IMAGE]

    def wait_for(self, count: int, timeout_s: float = 15.0) -> list[Message]:
        """Return the pictures once there are `count` of them."""
        until_ns = self.clock.now_ns() + round(timeout_s * NS_PER_S)
        while len(found := self.pictures()) < count:
            assert self.clock.now_ns() < until_ns, f"{len(found)} of {count} pictures came"
            assert self.error is None, self.error
            self.clock.sleep_until_ns(self.clock.now_ns() + 10 * NS_PER_MS)
        return found

    def end(self) -> list[Message]:
        self.context.stop()
        self._thread.join()
        return self.pictures()


@pytest.mark.parametrize("lengths", [True, False])
def test_parts_are_cut_with_and_without_their_length_and_keep_their_stamps(
    servers: list[MjpegServer], lengths: bool
) -> None:
    servers.append(MjpegServer(lengths=lengths))
    stream = mjpeg_frames(servers[0].url, WISH, GraphClock())

    frames = [next(stream) for _ in range(10)]
    stream.close()

    assert [bytes(frame.array).rstrip(b"\r\n") for frame in frames] == [
        jpeg(number) for number in range(10)
    ]
    stamps = [frame.device_ns for frame in frames]
    assert None not in stamps
    assert all(after > before for before, after in pairwise(stamps))  # type: ignore[operator]
    assert all(f.arrived_ns >= (f.device_ns or 0) for f in frames)


@pytest.mark.parametrize(
    ("manners", "words"),
    [
        ({"kind": "text/html"}, "is text/html, not an MJPEG stream"),
        ({"password": True}, "answers 401 .*put user and password into the address"),
        ({"pieces": 2}, "has sent nothing for 0.3 s"),
    ],
)
def test_what_is_wrong_with_a_stream_is_said(
    servers: list[MjpegServer], manners: dict[str, Any], words: str
) -> None:
    servers.append(MjpegServer(**manners))
    stream = mjpeg_frames(servers[0].url, WISH._replace(timeout_ns=300 * NS_PER_MS), GraphClock())

    with pytest.raises(DeviceError, match=words):
        list(stream)


def test_user_and_password_are_sent_and_never_said(servers: list[MjpegServer]) -> None:
    servers.append(MjpegServer(password=True))
    url = servers[0].url.replace("http://", "http://eve:secret@")
    stream = mjpeg_frames(url, WISH, GraphClock())

    assert next(stream).jpeg
    stream.close()
    assert without_password(url) == servers[0].url


@pytest.mark.realtime
def test_a_camera_over_mjpeg_that_is_killed_and_restarted_is_heard_again(
    servers: list[MjpegServer], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    servers.append(MjpegServer())
    watch = Watch(url=servers[0].url, stall="500ms")
    first = watch.wait_for(20)
    servers.pop().kill()
    port = int(watch.node.config.url.split(":")[2].split("/")[0])
    watch.clock.sleep_until_ns(watch.clock.now_ns() + NS_PER_S)
    heard = len(watch.pictures())
    servers.append(MjpegServer(port))
    watch.wait_for(heard + 20)
    messages = watch.end()

    assert watch.error is None
    assert len(first) >= 20
    stamps = [message.header.stamp_ns for message in messages]
    assert all(after > before for before, after in pairwise(stamps))
    assert [m.array().shape for m in messages] == [(48, 64, 3)] * len(messages)
    said = [record.getMessage() for record in caplog.records]
    assert sum("it is tried again" in text for text in said) in (1, 2)  # cut, then refused
    assert sum("is back after" in text for text in said) == 1


@pytest.mark.realtime
def test_a_camera_that_is_absent_at_start_is_waited_for(servers: list[MjpegServer]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    watch = Watch(url=f"http://127.0.0.1:{port}/stream")
    watch.clock.sleep_until_ns(watch.clock.now_ns() + 300 * NS_PER_MS)
    assert watch.pictures() == []
    servers.append(MjpegServer(port))
    watch.wait_for(3)
    watch.end()


@pytest.mark.realtime
def test_a_camera_that_stalls_is_opened_anew(servers: list[MjpegServer]) -> None:
    servers.append(MjpegServer(pieces=5))
    watch = Watch(url=servers[0].url, stall="200ms")
    watch.wait_for(12)
    watch.end()
    assert len(servers[0].connections) >= 3


@pytest.mark.realtime
def test_a_slow_reader_gets_the_newest_picture_and_says_what_it_skipped(
    servers: list[MjpegServer],
) -> None:
    servers.append(MjpegServer(rate_hz=100))
    watch = Watch(url=servers[0].url, rate="10Hz")
    watch.wait_for(8)
    messages = watch.end()

    skipped = [int(message.header.fields["skipped"]) for message in messages]
    numbers = [round(float(message.array().mean())) for message in messages]
    assert skipped[1:] == [(after - before - 1) % 250 for before, after in pairwise(numbers)]
    assert sum(skipped[1:]) > 0
    # never more than the rate: each is due a period after the last, and at most a quarter early
    lasted_ns = messages[-1].header.stamp_ns - messages[0].header.stamp_ns
    assert lasted_ns >= (len(messages) - 1) * 100 * NS_PER_MS - 25 * NS_PER_MS


@pytest.mark.realtime
def test_a_damaged_picture_is_left_out_and_counted(servers: list[MjpegServer]) -> None:
    servers.append(MjpegServer(damaged=(3,)))
    watch = Watch(url=servers[0].url)
    watch.wait_for(10)
    messages = watch.end()

    assert watch.error is None
    assert sum(int(message.header.fields["skipped"]) for message in messages) >= 1


@pytest.mark.realtime
@pytest.mark.parametrize("clock", ["device", "system", "arrival"])
def test_stamps_are_what_the_configuration_says(servers: list[MjpegServer], clock: str) -> None:
    begun_ns = GraphClock().now_ns()
    servers.append(MjpegServer(offset_ns=37 * NS_PER_S if clock == "device" else 0))
    watch = Watch(url=servers[0].url, clock=clock)
    watch.wait_for(20)
    headers = [message.header for message in watch.end()]
    assert all(begun_ns < header.stamp_ns <= header.sent_ns for header in headers)


@pytest.mark.realtime
def test_a_clock_that_is_37_s_off_is_called_by_its_name(
    servers: list[MjpegServer], caplog: pytest.LogCaptureFixture
) -> None:
    servers.append(MjpegServer(offset_ns=37 * NS_PER_S))
    watch = Watch(url=servers[0].url, clock="system")
    watch.wait_for(3)
    watch.end()
    assert (
        "the camera's clock is off by +37.0 s (TAI instead of UTC); "
        "set `clock: device`, or set its clock right\n"
    ) in caplog.text


@pytest.mark.realtime
def test_jpeg_is_passed_on_as_it_comes(servers: list[MjpegServer]) -> None:
    servers.append(MjpegServer())
    watch = Watch(url=servers[0].url, decode=False)
    first = watch.wait_for(3)[0]
    watch.end()
    assert first.header.fields["encoding"] == "jpeg"
    assert cv2.imdecode(np.array(first.array()), cv2.IMREAD_COLOR).shape == (48, 64, 3)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A video of ten pictures, 40 ms apart."""
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(picture(20 * number), format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def played(**config: object) -> list[Capture]:
    context = MemoryContext("camera", clock=FakeClock(EPOCH_NS))
    node = CameraNode(CameraConfig.model_validate(config))
    node.open(context)
    return [capture for capture in node.captures(context) if isinstance(capture, Capture)]


def test_a_video_file_is_a_camera_that_can_be_scaled_and_thinned(clip: Path) -> None:
    captures = played(path=str(clip), width=32, height=24, rate="12.5Hz")

    assert [capture.stamp_ns - EPOCH_NS for capture in captures] == [
        number * 80 * NS_PER_MS for number in range(5)
    ]
    assert {capture.arrays[0].shape for capture in captures} == {(24, 32, 3)}
    assert [capture.fields["skipped"] for capture in captures] == [0, 1, 1, 1, 1]


CALIBRATION = """
width: 64
height: 48
matrix: [[60, 0, 32], [0, 60, 24], [0, 0, 1]]
distortion: [-0.3, 0.1, 0, 0, 0]
"""


def test_the_calibration_is_a_fact_of_the_pictures_as_they_are_published(
    clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "camera.yaml").write_text(CALIBRATION)
    context = MemoryContext("front", clock=FakeClock(EPOCH_NS))
    config = {"path": str(clip), "calibration": str(tmp_path / "camera.yaml")}
    node = CameraNode(CameraConfig.model_validate({**config, "rectify": True}))
    context.record("image")
    node.open(context)
    node.run(context)

    fact, *pictures = context.sent("image")
    assert fact.header.fields["fact"] == "calibration"
    camera: Any = fact.header.fields["rig"]
    assert camera["cameras"]["front"]["matrix"][0] == [60, 0, 32]
    assert camera["cameras"]["front"]["distortion"] == []
    assert len(pictures) > 0


def test_rectifying_moves_pixels_as_opencv_says(tmp_path: Path) -> None:
    from tectum_nodes.camera_calibration import Rectifier, calibration_from

    (tmp_path / "camera.yaml").write_text(CALIBRATION)
    calibration = calibration_from(tmp_path / "camera.yaml")
    image = np.random.default_rng(1).integers(0, 255, (48, 64, 3)).astype(np.uint8)

    rectified = Rectifier(calibration)(image, np.empty_like(image))

    expected = cv2.undistort(image, calibration.matrix, calibration.distortion)
    assert np.abs(rectified.astype(int) - expected.astype(int)).max() <= 2
    assert np.abs(rectified.astype(int) - image.astype(int)).mean() > 5


def test_a_calibration_of_another_size_is_refused_with_the_way_out(
    clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "camera.yaml").write_text(CALIBRATION.replace("width: 64", "width: 640"))
    with pytest.raises(ConfigError, match=r"gives 64 x 48: set `width` and `height`"):
        played(path=str(clip), calibration=str(tmp_path / "camera.yaml"), rectify=True)


def test_a_calibration_of_ros_is_read_and_a_wrong_one_refused(tmp_path: Path) -> None:
    from tectum_nodes.camera_calibration import calibration_from

    path = tmp_path / "camera.yaml"
    path.write_text(
        "image_width: 64\nimage_height: 48\n"
        "camera_matrix: {rows: 3, cols: 3, data: [60, 0, 32, 0, 60, 24, 0, 0, 1]}\n"
        "distortion_coefficients: {rows: 1, cols: 5, data: [0.1, 0, 0, 0, 0]}\n"
    )
    assert calibration_from(path).distortion.tolist() == [0.1, 0, 0, 0, 0]
    path.write_text("width: 64\n")
    with pytest.raises(DataError, match=r"`width`, `height` and `matrix`"):
        calibration_from(path)


def test_without_a_source_it_is_the_first_camera() -> None:
    assert CameraConfig().device == 0
    assert CameraConfig(path="").device == 0
    assert CameraConfig(path="talk.mp4").device is None
    assert CameraConfig(device="/dev/video3").device == "/dev/video3"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"device": 0, "url": "rtsp://x"}, "found device, url"),
        ({"url": "ftp://x"}, "url must begin with rtsp://"),
        ({"device": 0, "width": 3}, "give `width` and `height`, or neither"),
        ({"device": 0, "decode": False}, "is for MJPEG"),
        ({"device": 0, "rectify": True}, "`rectify` needs a `calibration`"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        CameraConfig.model_validate(config)


@pytest.mark.realtime
def test_a_device_that_is_not_there_is_waited_for_with_a_clear_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watch = Watch(device="/dev/video-of-nobody")
    said = "camera /dev/video-of-nobody cannot be opened: is it plugged in"
    until(lambda: said in caplog.text)
    assert watch.end() == []
    assert watch.error is None


@pytest.mark.realtime
def test_a_pipeline_needs_an_opencv_with_gstreamer() -> None:
    if cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        pytest.skip("this OpenCV has GStreamer")
    watch = Watch(pipeline="videotestsrc ! appsink")
    until(lambda: watch.error)
    watch.end()
    assert isinstance(watch.error, ConfigError)
    assert "this OpenCV has no GStreamer" in str(watch.error)


RTSP_SERVER = """
import sys, gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(sys.argv[1])
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    "( videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=160,height=120,"
    "framerate=30/1 ! x264enc tune=zerolatency key-int-max=15 speed-preset=ultrafast "
    "! rtph264pay name=pay0 pt=96 )"
)
factory.set_shared(True)
server.get_mount_points().add_factory("/camera", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""


def rtsp_server(port: int = 0) -> tuple[subprocess.Popen[str], int]:
    """Start a real RTSP camera on loopback, or skip where GStreamer is not installed."""
    command = [str(SYSTEM_PYTHON), "-c", RTSP_SERVER, str(port)]
    if not SYSTEM_PYTHON.exists():
        pytest.skip("no RTSP server: there is no /usr/bin/python3; see .ci/rtsp")
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.strip().isdigit():
        process.wait()
        process.stdout.close()
        pytest.skip("no RTSP server: GStreamer's is not installed for Python; see .ci/rtsp")
    return process, int(line)


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


@pytest.mark.realtime
def test_a_camera_over_rtsp_that_is_killed_and_restarted_is_heard_again() -> None:
    process, port = rtsp_server()
    watch = Watch(url=f"rtsp://127.0.0.1:{port}/camera", stall="500ms")
    try:
        watch.wait_for(30)
        kill(process)
        watch.clock.sleep_until_ns(watch.clock.now_ns() + NS_PER_S)
        heard = len(watch.pictures())
        process, _ = rtsp_server(port)
        watch.wait_for(heard + 30, 25.0)
    finally:
        kill(process)
        messages = watch.end()

    assert watch.error is None
    headers = [message.header for message in messages]
    assert {header.buffers[0].shape for header in headers} == {(120, 160, 3)}
    stamps = [header.stamp_ns for header in headers]
    assert all(after > before for before, after in pairwise(stamps))
    steps = [after - before for before, after in pairwise(stamps[5:heard])]
    assert np.median(steps) == pytest.approx(NS_PER_S / 30, rel=0.05)  # as the camera stamps
