"""Encoding ahead: what will belong to the next trigger is encoded before that trigger arrives."""

from tectum.clock import NS_PER_MS as MS
from tectum.pipeline.events import Promised
from tectum.testing.arrivals import START_NS, together

SETTLED = START_NS + 500 * MS


def _ahead(rows, item):
    """Return how many sets had their camera encoded before they were accepted."""
    settled = [row for row in rows if row.stamp_ns >= SETTLED]
    return sum(item(row, "camera").encode_begin_ns < row.accepted_ns for row in settled)


def test_an_announced_capture_lets_the_camera_be_encoded_while_it_is_on_its_way(scene, item):
    # The lidar takes 80 ms to arrive, but says when it begins.
    scene.source("lidar", transit_ns=80 * MS).source("camera", transit_ns=2 * MS)
    events = scene.heard()
    said = [
        Promised(e.sample.stamp_ns, "lidar", e.sample.stamp_ns, begun=True)
        for e in events
        if getattr(e, "sample", None) and e.sample.ref.input == "lidar"
    ]
    said.sort(key=lambda e: e.now_ns)
    with_word = _ahead(scene.run(together(events, said)).rows, item)
    assert with_word == 25


def test_off_encodes_nothing_ahead(scene, item):
    scene.source("lidar", transit_ns=80 * MS).set(eager="off")
    assert _ahead(scene.run().rows, item) == 0


def test_what_is_final_for_all_triggers_to_come_is_hardly_ever_wasted(scene):
    counts = scene.source("lidar", transit_ns=60 * MS).run().counters["camera"]
    assert counts["ahead_used"] >= 5
    assert counts.get("ahead_wasted", 0) <= counts["ahead_used"] // 4


def test_a_guess_encodes_more_often_and_what_is_wasted_is_counted(scene):
    scene.source("lidar", transit_ns=60 * MS, jitter_ns=12 * MS)
    sure = scene.run().counters["camera"]
    bold = scene.set(eager="guess").run().counters["camera"]
    assert bold["ahead_used"] > sure.get("ahead_used", 0)
    assert bold["ahead_wasted"] > sure.get("ahead_wasted", 0)


def test_what_was_encoded_ahead_never_changes_a_pick(scene, item):
    scene.source("lidar", transit_ns=60 * MS)
    picks = []
    for eager in ("off", "commit", "guess"):
        rows = scene.set(eager=eager).run().rows
        picks.append([(i.name, i.seq, i.distance_ns) for row in rows for i in row.inputs])
    assert picks[0] == picks[1] == picks[2]
