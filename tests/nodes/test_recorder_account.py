"""The account of a recording: what never came is told by cause."""

from collections import Counter

from tectum.recording.series import LogSeries
from tectum.testing import FakeClock
from tectum_nodes.log_thread import LogThread, LogThreadLimits
from tectum_nodes.recorder_account import Account


def account(tmp_path, gaps, counters):
    thread = LogThread(LogSeries(tmp_path / "a.mcap"), FakeClock(), LogThreadLimits(0))
    thread.close()
    return Account.of(thread, Counter(gaps), counters)


def test_what_never_came_is_told_by_cause_over_all_topics(tmp_path):
    counters = {
        "camera/image": {"received": 5, "overtaken": 3, "queue_full": 1, "unexplained": 0},
        "lidar/points": {"received": 9, "overtaken": 1, "unexplained": 2, "lost": {"no_slot": 4}},
        "?": {"refused": 1},
    }
    made = account(tmp_path, {"camera/image": 4, "lidar/points": 3}, counters)
    assert made.document()["lost"] == {"queue_full": 1, "overtaken": 4, "unexplained": 2}
    assert "7 never came (1 queue_full, 4 overtaken, 2 unexplained)" in made.sentence()
    assert not made.clean


def test_where_everything_came_nothing_is_said_of_causes(tmp_path):
    made = account(tmp_path, {}, {"camera/image": {"received": 5, "unexplained": 0}})
    assert made.document()["lost"] == {}
    assert made.sentence().endswith("a.mcap: 0 messages, 0.0 MB")
