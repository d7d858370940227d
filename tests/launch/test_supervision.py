"""What becomes of a graph when its nodes report, end and die: on paper, without a process."""

import pytest

from tectum.node.control import Report, State
from tectum.sync.faults import Fault
from tectum_launch.members import (
    AHEAD_NS,
    Begin,
    Halt,
    Kill,
    Limits,
    Member,
    Release,
    Say,
    Spawn,
    Terminate,
)
from tectum_launch.supervision import Supervision

MS, S = 1_000_000, 1_000_000_000

CAMERA = Member("camera", "continue")
LIDAR = Member("lidar", "restart")
FUSION = Member("fusion", "stop", listens=True, answers=True)
RECORDER = Member("recorder", "continue", publishes=False, listens=True)
ALL = (CAMERA, LIDAR, FUSION, RECORDER)


def opened(members=ALL, **options):
    return Supervision(members, now_ns=0, **options)


def begun(members=ALL, at_ns=S, **options):
    supervision = opened(members, **options)
    for state in (State.READY, State.JOINED, State.RUNNING):
        for member in members:
            supervision.reported(at_ns, Report(member.name, state))
    return supervision


def doing(orders):
    return [order for order in orders if not isinstance(order, Say)]


def said(orders):
    return [(order.node, order.text) for order in orders if isinstance(order, Say)]


def test_a_graph_begins_when_the_last_node_has_joined():
    supervision = opened((CAMERA, FUSION))
    assert supervision.reported(S, Report("camera", State.READY)) == []
    assert supervision.reported(S, Report("camera", State.JOINED)) == []
    assert supervision.reported(S, Report("fusion", State.READY)) == []
    assert supervision.reported(2 * S, Report("fusion", State.JOINED)) == [Begin()]
    assert supervision.began_ns == 2 * S


def test_a_node_that_fails_before_the_beginning_stops_the_launch_with_its_sentence():
    supervision = opened((CAMERA, FUSION))
    supervision.reported(S, Report("camera", State.FAILED, "there is no camera 0"))
    orders = supervision.exited(S, "camera", "exit code 1", clean=False)
    assert said(orders) == [("camera", "camera could not start: there is no camera 0")]
    assert doing(orders) == [Halt(("fusion",))]
    assert supervision.exit_code == 1
    assert supervision.failure == "camera could not start: there is no camera 0"


def test_a_node_that_never_gets_ready_stops_the_launch():
    supervision = opened((CAMERA,), limits=Limits(ready_ns=5 * S))
    assert supervision.next_wakeup_ns() == 5 * S
    assert supervision.tick(4 * S) == []
    orders = supervision.tick(5 * S)
    assert said(orders) == [("camera", "camera could not start: it did not open within 5.00 s")]
    assert doing(orders) == [Halt(("camera",))]


def test_a_dead_sensor_costs_the_exit_code_and_not_the_graph():
    supervision = begun()
    orders = supervision.exited(4 * S, "camera", "killed by SIGKILL", clean=False)
    assert said(orders) == [("camera", "died: killed by SIGKILL; the graph goes on without it")]
    assert doing(orders) == []
    assert not supervision.done
    assert supervision.exit_code == 1
    assert [(death.node, death.at_ns) for death in supervision.deaths] == [("camera", 3 * S)]


def test_a_dead_fusion_node_stops_the_graph():
    supervision = begun()
    orders = supervision.exited(4 * S, "fusion", "exit code 3: ValueError: no", clean=False)
    assert said(orders) == [("fusion", "fusion died: exit code 3: ValueError: no")]
    assert doing(orders) == [Halt(("camera", "lidar"))]
    assert supervision.failure == "fusion died: exit code 3: ValueError: no"


def test_a_node_is_brought_back_after_waits_that_double_and_are_bounded():
    limits = Limits(first_restart_ns=250 * MS, longest_restart_ns=600 * MS)
    supervision = begun((CAMERA, LIDAR, FUSION), limits=limits)
    now_ns, waits = 2 * S, []
    for _ in range(4):
        assert doing(supervision.exited(now_ns, "lidar", "killed by SIGKILL", clean=False)) == []
        due_ns = supervision.next_wakeup_ns()
        waits.append((due_ns - now_ns) // MS)
        assert doing(supervision.tick(due_ns)) == [Spawn("lidar")]
        assert supervision.reported(due_ns, Report("lidar", State.JOINED)) == [Release("lidar")]
        supervision.reported(due_ns, Report("lidar", State.RUNNING))
        now_ns = due_ns + MS
    assert waits == [250, 500, 600, 600]
    assert supervision.restarts == {"lidar": 4}
    assert len(supervision.deaths) == 4


def test_a_node_that_ran_steadily_is_brought_back_as_if_for_the_first_time():
    supervision = begun((CAMERA, LIDAR, FUSION), limits=Limits(hang_ns=100 * S))
    supervision.exited(2 * S, "lidar", "killed", clean=False)
    supervision.tick(2 * S + 250 * MS)
    supervision.exited(60 * S, "lidar", "killed", clean=False)
    assert supervision.next_wakeup_ns() == 60 * S + 250 * MS


def test_stopping_asks_publishers_then_listeners_then_terminates_then_kills():
    # 0        0.7        1.2       1.7 s
    # halt all  halt       SIGTERM   SIGKILL
    # but the   the
    # recorder  recorder
    supervision = begun()
    assert supervision.stop(2 * S, "Ctrl-C") == [Halt(("camera", "lidar", "fusion"))]
    seen = []
    while (due_ns := supervision.next_wakeup_ns()) < 2**63 - 1:
        seen.append(((due_ns - 2 * S) // MS, *supervision.tick(due_ns)))
    everyone = ("camera", "lidar", "fusion", "recorder")
    assert seen == [
        (700, Halt(("recorder",))),
        (1200, Terminate(everyone)),
        (1700, Kill(everyone)),
    ]


def test_a_listener_is_asked_as_soon_as_the_last_publisher_has_gone():
    supervision = begun()
    supervision.stop(2 * S, "Ctrl-C")
    assert supervision.exited(2 * S + MS, "camera", "", clean=True) == []
    assert supervision.exited(2 * S + MS, "lidar", "", clean=True) == []
    assert supervision.exited(2 * S + MS, "fusion", "", clean=True) == [Halt(("recorder",))]
    assert not supervision.done
    supervision.exited(2 * S + 2 * MS, "recorder", "", clean=True)
    assert supervision.done
    assert supervision.exit_code == 0


def test_a_process_that_a_stop_had_to_kill_is_no_death():
    supervision = begun((CAMERA, FUSION))
    supervision.stop(2 * S, "Ctrl-C")
    supervision.exited(4 * S, "camera", "killed by SIGKILL", clean=False)
    supervision.exited(4 * S, "fusion", "", clean=True)
    assert supervision.done
    assert supervision.exit_code == 0


def test_a_second_request_to_stop_kills_at_once():
    supervision = begun((CAMERA, FUSION))
    supervision.stop(2 * S, "Ctrl-C")
    assert supervision.stop(2 * S + MS, "Ctrl-C") == [Kill(("camera", "fusion"))]


def test_the_duration_counts_from_the_beginning():
    supervision = begun((CAMERA, FUSION), at_ns=7 * S, duration_ns=10 * S)
    assert supervision.next_wakeup_ns() <= 17 * S
    assert doing(supervision.tick(17 * S - 1)) == []
    assert Halt(("camera", "fusion")) in supervision.tick(17 * S)
    assert supervision.stopped_because == "10.00 s are over"


@pytest.mark.parametrize(
    ("members", "ending", "because"),
    [
        ((CAMERA, FUSION, RECORDER), ["camera", "fusion"], "all answers are given"),
        ((CAMERA, RECORDER), ["camera"], "all sources have ended"),
        ((Member("player", "stop"), CAMERA), ["player"], "player has ended"),
    ],
)
def test_a_graph_ends_when_nothing_is_left_to_do(members, ending, because):
    supervision = begun(members)
    for name in ending:
        assert supervision.stopped_because == ""
        supervision.exited(3 * S, name, "", clean=True)
    assert supervision.stopped_because == because
    assert supervision.exit_code == 0


def test_a_fusion_node_may_go_on_after_its_sources_have_ended():
    supervision = begun((CAMERA, LIDAR, FUSION))
    supervision.exited(3 * S, "camera", "", clean=True)
    supervision.exited(3 * S, "lidar", "", clean=True)
    assert supervision.stopped_because == ""


def test_a_graph_whose_last_source_died_is_stopped():
    supervision = begun((CAMERA, FUSION))
    orders = supervision.exited(3 * S, "camera", "killed by SIGKILL", clean=False)
    assert Halt(("fusion",)) in orders
    assert supervision.stopped_because == "no source is left"


def test_a_node_without_a_heartbeat_is_said_to_hang_once_and_to_answer_again():
    supervision = begun((CAMERA, FUSION), limits=Limits(hang_ns=3 * S))
    supervision.reported(3 * S, Report("fusion", State.ALIVE))
    assert said(supervision.tick(4 * S)) == [("camera", "hangs: no sign of life for 3.00 s")]
    assert said(supervision.tick(5 * S)) == []
    assert said(supervision.reported(5 * S, Report("camera", State.ALIVE))) == [
        ("camera", "answers again")
    ]


def test_a_node_that_is_slow_to_come_back_is_killed_and_tried_again():
    supervision = begun((CAMERA, LIDAR, FUSION), limits=Limits(ready_ns=5 * S, hang_ns=100 * S))
    supervision.exited(2 * S, "lidar", "killed", clean=False)
    supervision.tick(2 * S + 250 * MS)
    late_ns = 2 * S + 250 * MS + 5 * S
    assert doing(supervision.tick(late_ns)) == [Kill(("lidar",))]
    assert doing(supervision.exited(late_ns, "lidar", "killed by SIGKILL", clean=False)) == []
    assert supervision.next_wakeup_ns() == late_ns + 500 * MS


def test_a_node_that_was_brought_back_does_not_wait_for_ever_for_dead_subscribers():
    supervision = begun()
    supervision.exited(2 * S, "lidar", "killed by SIGKILL", clean=False)
    assert doing(supervision.tick(3 * S)) == [Spawn("lidar")]
    supervision.reported(4 * S, Report("lidar", State.READY))
    limit_ns = 4 * S + supervision.limits.join_ns
    for name in ("camera", "fusion", "recorder"):
        supervision.reported(limit_ns - 1, Report(name, State.ALIVE))
    assert supervision.tick(limit_ns - 1) == []
    orders = supervision.tick(limit_ns)
    assert doing(orders) == [Release("lidar")]
    assert said(orders) == [
        ("lidar", "begins without some of its subscribers: they did not join within 5.00 s")
    ]
    assert supervision.tick(limit_ns + 1) == []


def test_a_node_is_killed_when_its_faults_ask_and_that_is_no_failure():
    kills = (Fault("kill", "lidar", 3 * S, 0, every_ns=10 * S),)
    supervision = begun((CAMERA, Member("lidar", "restart", kills=kills), FUSION))
    due_ns = S + AHEAD_NS + 3 * S
    alive = Report("lidar", State.ALIVE)
    supervision.reported(due_ns - 1, alive)
    assert doing(supervision.tick(due_ns - 1)) == []
    assert supervision.next_wakeup_ns() == due_ns
    orders = supervision.tick(due_ns)
    assert doing(orders) == [Kill(("lidar",))]
    assert ("lidar", "is killed, as its faults ask") in said(orders)
    assert doing(supervision.tick(due_ns + 1)) == []
    supervision.exited(due_ns + 2, "lidar", "killed by SIGKILL", clean=False)
    (death,) = supervision.deaths
    assert (death.injected, death.cause) == (True, "killed by SIGKILL, as its faults ask")
    assert supervision.exit_code == 0
    assert Spawn("lidar") in supervision.tick(due_ns + S)
    supervision.exited(due_ns + 2 * S, "lidar", "exit code 1", clean=False)
    assert supervision.exit_code == 1


def test_a_node_without_a_process_is_not_killed_once_more():
    kills = (Fault("kill", "camera", 3 * S, 0, every_ns=2 * S),)
    supervision = begun((Member("camera", "continue", kills=kills), FUSION, LIDAR))
    supervision.exited(2 * S, "camera", "exit code 1", clean=False)
    assert doing(supervision.tick(2 * S)) == []
    assert Kill(("camera",)) not in supervision.tick(S + AHEAD_NS + 3 * S)
    assert supervision.next_wakeup_ns() <= S + AHEAD_NS + 5 * S
