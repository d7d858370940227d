"""The dashboard as a person sees it: headless Chromium over graphs that run (see .ci/browser)."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tectum.clock import NS_PER_MS, NS_PER_S, GraphClock
from tectum.recording.reader import LogReader

pytest.importorskip("aiohttp", reason="the dashboard's server needs aiohttp (extra ui)")
sync_api = pytest.importorskip("playwright.sync_api", reason="see .ci/browser")

CHROMIUM = os.environ.get("TECTUM_CHROMIUM") or shutil.which("chromium")
PATIENCE_MS = 40_000
SECONDS = re.compile(r"silent for (\d+\.\d) s")
GRAPH = """
graph: driving
budget: 100ms
nodes:
  camera:     {run: simulated_camera, rate: 15Hz, seed: 50}
  lidar:      {run: simulated_lidar, rate: 5Hz, seed: 50}
  microphone: {run: simulated_microphone, block: 20ms, seed: 50}
  perception:
    run: fusion
    trigger: lidar
    inputs:
      camera: {topic: camera/image, align: {nearest: {tolerance: 60ms}}, encoder: driving/camera}
      lidar:  {topic: lidar/points, encoder: driving/lidar}
      siren:  {topic: microphone/audio, align: {window: {duration: 1s}}, encoder: driving/siren, required: false}
    head: {intermediate: {model: driving/head, contribution: true}}
    accept: [[camera], [lidar]]
  dashboard: {run: dashboard, port: 0}
  recorder:  {run: recorder, path: drive.mcap, topics: ["*"]}
"""  # noqa: E501 - as it is written in a graph file

pytestmark = [
    pytest.mark.realtime,
    pytest.mark.timeout(240),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; see .ci/browser"),
]


def waited(condition: Any, what: str, seconds: float = 60.0) -> Any:
    """Return what `condition` gives once that is true."""
    clock = GraphClock()
    until_ns = clock.now_ns() + round(seconds * NS_PER_S)
    while not (found := condition()):
        assert clock.now_ns() < until_ns, f"never: {what}"
        clock.sleep_until_ns(clock.now_ns() + 100 * NS_PER_MS)
    return found


def silent_s(words: Any) -> float:
    """Return for how many seconds a tile says it is silent; -1: it says nothing of the kind."""
    match = SECONDS.fullmatch(words.inner_text())
    return float(match[1]) if match else -1.0


class Drive:
    """A launched graph with a dashboard."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "drive.yaml").write_text(GRAPH)
        (folder / "run").mkdir(mode=0o700)
        environment = {**os.environ, "XDG_RUNTIME_DIR": str(folder / "run")}
        command = [sys.executable, "-m", "tectum_launch", "launch", str(folder / "drive.yaml")]
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stderr=subprocess.DEVNULL
        )
        written = waited(
            lambda: list(folder.glob("run/tectum/*/dashboard.url")), "the dashboard's address"
        )
        self.address = written[0].read_text().strip()
        self.run_folder = written[0].parent

    def kill(self, node: str) -> None:
        document = json.loads((self.run_folder / "run.json").read_text())
        os.kill(document["nodes"][node]["pid"], signal.SIGKILL)

    def end(self) -> Path:
        """Stop the graph and return what it recorded."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(20)
        return self.folder / "drive.mcap"


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drive]:
    running = Drive(tmp_path_factory.mktemp("d"))
    yield running
    running.end()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Page:
    """A page that must say nothing on its console and ask nobody else for anything."""

    def __init__(self, chromium: Any, address: str) -> None:
        self.page = chromium.new_page(viewport={"width": 1600, "height": 1000})
        self.page.set_default_timeout(PATIENCE_MS)
        self.troubles: list[str] = []
        self.asked: list[str] = []
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("console", lambda message: self.troubles.append(message.text))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(address)

    def tile(self, topic: str) -> Any:
        return self.page.locator(f'[data-topic="{topic}"]')

    def is_silent(self, topic: str) -> bool:
        return "silent" in self.tile(topic).get_attribute("class").split()

    def pixels(self, topic: str) -> str:
        """Return what a tile shows, as a picture in text."""
        canvas = self.tile(topic).locator("canvas")
        return str(canvas.evaluate("canvas => canvas.toDataURL()"))

    def close(self) -> None:
        self.page.close()
        assert self.troubles == []


@pytest.fixture
def page(chromium: Any, drive: Drive) -> Iterator[Page]:
    opened = Page(chromium, drive.address)
    opened.page.wait_for_selector('[data-topic="camera/image"][data-seq]')
    yield opened
    opened.close()


def test_pictures_clouds_and_sound_move(page: Page) -> None:
    for topic in ("camera/image", "lidar/points", "microphone/audio"):
        before = page.pixels(topic)
        waited(lambda topic=topic, before=before: page.pixels(topic) != before, f"{topic} moves")
        waited(lambda topic=topic: not page.is_silent(topic), f"{topic} speaks")
    waited(lambda: page.page.locator(".outcome").count() > 5, "outcomes")


def test_nothing_comes_from_another_host(page: Page, drive: Drive) -> None:
    assert page.asked
    assert all(asked.startswith((drive.address, "blob:")) for asked in page.asked), page.asked


def test_the_grid_lies_on_the_view_from_above(page: Page) -> None:
    heat = """canvas => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let count = 0;
        for (let at = 0; at < data.length; at += 4)
            if (data[at] > 150 && data[at + 1] > 60 && data[at + 1] < 160 && data[at + 2] < 80) count++;
        return count;
    }"""  # noqa: E501
    canvas = page.tile("lidar/points").locator("canvas")
    waited(lambda: canvas.evaluate(heat) > 500, "cells that are taken are drawn")


def test_the_answer_tells_what_each_modality_gave(page: Page) -> None:
    answer = page.page.locator('.answer[data-node="perception"]')
    answer.get_by_text("what occupancy rests on").wait_for()
    for name in ("camera", "lidar", "siren"):  # an input may be missing once on a busy machine
        waited(
            lambda name=name: re.search(rf"{name} \d+ %", answer.inner_text()), f"part of {name}"
        )
    words = answer.inner_text()
    assert "lidar, trigger" in words
    assert re.search(r"[\d.]+ ms of the budget of 100 ms", words), words
    assert re.search(r"fuse [\d.]+", words), words


def test_latencies_stand_against_the_budget(page: Page) -> None:
    assert page.page.locator(".limit").inner_text() == "100 ms"
    waited(lambda: page.page.locator(".outcome i").count() > 5, "phases of outcomes")
    legend = page.page.locator(".legend")
    waited(lambda: re.search(r"fuse [\d.]+ ms", legend.inner_text()), "medians of the phases")
    figures = page.page.locator("#figures").inner_text()
    assert "on time" in figures
    assert "/ 100 ms" in figures


def test_processes_show_their_cpu_and_topics_their_rates_and_losses(page: Page) -> None:
    processes = page.page.locator("#processes")
    waited(lambda: re.search(r"camera\s+\d+ %\s+\d+ MB", processes.inner_text()), "CPU of camera")
    row = page.page.locator("#topics tr", has_text="microphone/audio")
    waited(lambda: re.search(r"\d+\.\d Hz.* ms\s+\d", row.inner_text(), re.S), "rate, age, losses")


def test_a_click_on_an_outcome_explains_it(page: Page) -> None:
    waited(lambda: page.page.locator(".outcome").count() > 5, "outcomes")
    page.page.locator(".plot").hover()  # bars stand still under the pointer
    bar = page.page.locator(".outcome").nth(-4)
    number = re.match(r"#(\d+) (\w+)", bar.get_attribute("title"))
    bar.click()
    why = page.page.locator(".why")
    why.get_by_text(f"trigger {number[1]} at").wait_for()
    assert number[2] in why.inner_text()
    for name in ("camera", "lidar", "siren"):
        assert re.search(rf"{name}: \w", why.inner_text()), why.inner_text()
    assert bar.get_attribute("aria-pressed") == "true"


CONTRAST = """() => {
    const light = (text) => {
        const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map((part) => {
            const share = Number(part) / 255;
            return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const colour = getComputedStyle(at).backgroundColor;
            if (!/, 0\\)$|transparent|color\\(/.test(colour)) return colour;
        }
        return getComputedStyle(document.body).backgroundColor;
    };
    return [...document.querySelectorAll("h2, .chip, .chip small, .facts b, .soft, .legend, td, #figures dd, #figures dt, .why p")]
        .filter((element) => element.innerText?.trim() && element.offsetWidth)
        .map((element) => {
            const [one, other] = [light(getComputedStyle(element).color), light(ground(element))];
            const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
            return [element.className || element.tagName, element.innerText.slice(0, 20), ratio];
        })
        .filter(([, , ratio]) => ratio < 4.5);
}"""  # noqa: E501


def test_dark_and_light_are_both_readable(page: Page) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    seen = set()
    for _ in range(2):
        seen.add(page.page.evaluate(ground))
        assert page.page.evaluate(CONTRAST) == [], "text of too little contrast (WCAG AA: 4.5)"
        page.page.get_by_label("Dark or light").click()
    assert len(seen) == 2


def test_on_a_narrow_screen_nothing_lies_beside_the_page(page: Page) -> None:
    for width in (1280, 1000, 600, 390):
        page.page.set_viewport_size({"width": width, "height": 900})
        wide = page.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{wide} pixels of {width}"


def test_a_killed_camera_is_silent_for_so_many_seconds(page: Page, drive: Drive) -> None:
    drive.kill("camera")
    tile = page.tile("camera/image")
    words = tile.locator(".silence")
    match = waited(lambda: SECONDS.fullmatch(words.inner_text()), "the camera is silent")
    waited(lambda: page.is_silent("camera/image"), "the tile looks silent")
    first = float(match[1])
    waited(lambda: float(SECONDS.fullmatch(words.inner_text())[1]) >= first + 1.5, "silence grows")
    answer = page.page.locator('.answer[data-node="perception"]')
    answer.locator(".chip.missing", has_text="camera").get_by_text("silent").wait_for()
    page.page.wait_for_selector(".outcome.partial")
    waited(lambda: not page.is_silent("lidar/points"), "the lidar speaks")


def test_the_last_picture_of_a_sensor_that_has_ended_is_seen_dimmed(page: Page) -> None:
    classes, words, filtered, cover = page.page.evaluate(
        """async () => {
            const page = document.querySelector("script[src]").src;
            const { makeTile } = await import(new URL("tile.js", page));
            const tile = makeTile("camera", "gone/image", () => {});
            document.body.append(tile.root);
            tile.live({ heard_ns: 1e9, stamp_ns: 1e9, rate_hz: 0, ended: true }, 5000);
            const note = tile.root.querySelector(".silence");
            const seen = [tile.root.className, note.innerText, getComputedStyle(tile.canvas).filter,
                getComputedStyle(note).backgroundColor];
            tile.root.remove();
            return seen;
        }"""
    )
    assert "ended" in classes.split()
    assert words == "has ended"
    assert "grayscale" in filtered
    assert cover == "rgba(0, 0, 0, 0)"


def test_when_the_graph_ends_the_page_says_so_and_the_recording_can_be_walked(
    chromium: Any, drive: Drive
) -> None:
    live = Page(chromium, drive.address)
    live.page.wait_for_selector(".pill.live")
    log = drive.end()
    live.page.get_by_text("the graph has ended").wait_for()
    live.page.close()

    command = [sys.executable, "-m", "tectum_launch", "view", str(log), "--no-browser"]
    viewing = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert viewing.stdout is not None
    try:
        said = viewing.stdout.readline()
        walk_through(Page(chromium, re.search(r"http://\S+", said)[0]))
    finally:
        viewing.send_signal(signal.SIGINT)
        assert viewing.wait(20) == 0
        viewing.stdout.close()


def walk_through(page: Page) -> None:
    """Play, pause, seek, ask, and look for trouble."""
    time, strip = page.page.locator(".deck .time b"), page.page.locator(".deck")
    page.page.wait_for_selector('.deck[data-done="true"]')
    page.page.wait_for_selector('[data-topic="camera/image"][data-seq]')
    began, before = time.inner_text(), page.pixels("camera/image")
    page.page.get_by_label("Play").click()
    waited(lambda: page.pixels("camera/image") != before, "the picture moves")
    page.page.get_by_label("Pause").click()
    strip.and_(page.page.locator('[data-playing="false"]')).wait_for()
    assert time.inner_text() > began

    box = page.page.locator(".track input").bounding_box()
    page.page.mouse.click(box["x"] + box["width"] * 0.98, box["y"] + box["height"] / 2)
    words = page.tile("camera/image").locator(".silence")
    match = waited(lambda: SECONDS.fullmatch(words.inner_text()), "silent, as it was then")
    page.page.keyboard.press("ArrowLeft")
    waited(
        lambda: 0 <= silent_s(words) <= float(match[1]) - 0.9,
        "a second before it was silent for a second less",
    )
    page.page.wait_for_selector(".outcome.partial")
    page.page.locator(".plot").hover()
    page.page.locator(".outcome.partial").last.click()
    page.page.locator(".why").get_by_text("without camera (silent)").first.wait_for()

    page.page.mouse.click(box["x"] + 3, box["y"] + box["height"] / 2)
    waited(lambda: not SECONDS.fullmatch(words.inner_text()), "at the begin it was not silent")
    here = time.inner_text()
    page.page.get_by_text("next trouble").click()
    waited(lambda: time.inner_text() > here, "there was trouble later")
    page.close()


@pytest.mark.data
def test_each_of_several_cameras_shows_the_objects_that_it_saw_best(
    chromium: Any, tmp_path: Path, data_folder: Path
) -> None:
    def tectum(*arguments: object) -> None:
        command = [sys.executable, "-m", "tectum_launch", *map(str, arguments)]
        subprocess.run(command, check=True, capture_output=True, timeout=110)

    scene, log = tmp_path / "scene.mcap", tmp_path / "run.mcap"
    tectum("import", data_folder / "nuscenes_sample", "-o", scene)
    settings = ("--set", f"log={scene}", "--set", "budget=none")
    tectum("launch", "surround", *settings, "--record", log)
    with LogReader(log) as reader:
        results = [r.message.header for r in reader.messages(["perception/result"])]
        objects = [header.buffers[0].shape[0] for header in results if header.buffers]
    assert objects[-1] > 5

    command = [sys.executable, "-m", "tectum_launch", "view", str(log), "--no-browser"]
    viewing = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert viewing.stdout is not None
    page = Page(chromium, re.search(r"http://\S+", viewing.stdout.readline())[0])
    try:
        page.page.get_by_label("Play").click()
        marked = page.page.locator("[data-marks]")
        waited(lambda: marked.count() == 6, "six cameras with marks")
        marks = [int(tile.get_attribute("data-marks")) for tile in marked.all()]
        assert sum(marks) == objects[-1]
        assert sum(count > 0 for count in marks) > 2
    finally:
        page.close()
        viewing.send_signal(signal.SIGINT)
        viewing.wait(20)
        viewing.stdout.close()
