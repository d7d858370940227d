"""What becomes of a graph when its nodes report, end and die: on paper, without a process."""

import pytest

from tectum.node.control import Report, State
from tectum.sync.faults import Fault
from tectum_launch.members import AHEAD_NS, Death, Hang, HangRule, Limits, Member, RestartRule
from tectum_launch.orders import Begin, Halt, Kill, Release, Say, Spawn, Terminate
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
    supervision.tick(at_ns)
    for state in (State.READY, State.JOINED, State.RUNNING):
        for member in members:
            supervision.reported(at_ns, Report(member.name, state))
    return supervision


def watched(supervision, until_ns, alive=(), every_ns=50 * MS):
    """Return what is ordered until then, with its time in ms, while `alive` give signs of life."""
    orders, now_ns = [], max(supervision._vigil.ticked_ns, S)
    while now_ns < until_ns:
        now_ns += every_ns
        for name in alive:
            supervision.reported(now_ns, Report(name, State.ALIVE))
        orders += [(now_ns // MS, order) for order in supervision.tick(now_ns)]
    return orders


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
    rule = RestartRule(first_ns=250 * MS, longest_ns=600 * MS)
    never = HangRule(after_ns=0)
    lidar = Member("lidar", "restart", restart=rule, hang=never)
    fusion = Member("fusion", "stop", listens=True, answers=True, hang=never)
    supervision = begun((lidar, fusion))
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
    lidar = Member("lidar", "restart", restart=RestartRule(first_ns=250 * MS))
    supervision = begun((lidar, FUSION))
    waits = []
    for died_ns in (2 * S, 4 * S, 60 * S):
        supervision.exited(died_ns, "lidar", "killed", clean=False)
        waits += [
            ms - died_ns // MS
            for ms, order in watched(supervision, died_ns + S, ["fusion"])
            if order == Spawn("lidar")
        ]
    assert waits == [250, 500, 250]


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
    supervision = begun((CAMERA, FUSION))
    assert watched(supervision, 4 * S, ["fusion"]) == [
        (1700, Say("camera", "hangs: no sign of life for 700.0 ms", "warning"))
    ]
    assert said(supervision.reported(4 * S, Report("camera", State.ALIVE))) == [
        ("camera", "answers again, after 3.00 s")
    ]
    assert supervision.hangs == [Hang("camera", 0, 3 * S)]
    assert (supervision.deaths, supervision.exit_code) == ([], 0)


HANGING = Member("lidar", "restart", hang=HangRule(ends=True))


def test_a_node_that_hangs_is_asked_then_terminated_then_killed_and_brought_back():
    supervision = begun((CAMERA, HANGING, FUSION))
    alive = ["camera", "fusion"]
    assert watched(supervision, 2 * S, alive) == [
        (1700, Say("lidar", "hangs: no sign of life for 700.0 ms; it is ended", "error")),
        (1700, Halt(("lidar",))),
        (1850, Terminate(("lidar",))),
        (1950, Kill(("lidar",))),
    ]
    orders = supervision.exited(2 * S, "lidar", "killed by SIGKILL", clean=False)
    cause = "hung: no sign of life for 700.0 ms; it ended by SIGKILL"
    assert said(orders) == [("lidar", f"died: {cause}; it is restarted in 100.0 ms")]
    assert [order for _, order in watched(supervision, 2100 * MS, alive)][1:] == [Spawn("lidar")]
    for state in (State.READY, State.JOINED, State.RUNNING, State.SPOKE):
        supervision.reported(2500 * MS, Report("lidar", state))
    assert supervision.deaths == [Death("lidar", S, cause, lost_ns=0, recovered_ns=1500 * MS)]
    assert supervision.deaths[0].recovery_ns == 1500 * MS


def test_a_node_that_hangs_and_ends_when_asked_is_lost_all_the_same():
    supervision = begun((CAMERA, HANGING, FUSION))
    watched(supervision, 1750 * MS, ["camera", "fusion"])
    supervision.exited(1800 * MS, "lidar", "", clean=True)
    (death,) = supervision.deaths
    assert death.cause == "hung: no sign of life for 700.0 ms; it ended when asked"
    assert supervision.restarts == {}
    assert Spawn("lidar") in supervision.tick(1900 * MS)


def test_nodes_of_one_process_are_ended_together_and_each_knows_why():
    shared = [
        Member(name, "restart", process="both", hang=HangRule(ends=True)) for name in ("a", "b")
    ]
    supervision = begun((*shared, FUSION))
    orders = watched(supervision, 2 * S, ["b", "fusion"])
    assert [order for _, order in orders][1:] == [Halt(("a",)), Terminate(("a",)), Kill(("a",))]
    for name in ("a", "b"):
        supervision.exited(2 * S, name, "killed by SIGKILL", clean=False)
    assert [death.cause for death in supervision.deaths] == [
        "hung: no sign of life for 700.0 ms; it ended by SIGKILL",
        "a, of the same process, hung: it ended by SIGKILL",
    ]


@pytest.mark.parametrize("state", [None, State.ENDING])
def test_opening_and_closing_may_take_longer_than_a_loop_may_be_silent(state):
    supervision = begun((CAMERA, HANGING, FUSION))
    if state:
        supervision.reported(S, Report("lidar", state))
    else:
        supervision.exited(S, "lidar", "killed", clean=False)
    orders = watched(supervision, 20 * S, ["camera", "fusion"])
    assert not [order for _, order in orders if isinstance(order, (Halt, Kill, Terminate))]


@pytest.mark.parametrize("closing", [False, True])
def test_a_process_that_is_stopped_while_it_opens_or_closes_is_killed(closing):
    supervision = begun((CAMERA, HANGING, FUSION))
    if closing:
        supervision.reported(S, Report("lidar", State.ENDING))
    else:
        supervision.exited(S, "lidar", "killed", clean=False)
        supervision.tick(1200 * MS)
    assert supervision.frozen(2 * S, "lidar", frozen=True) == []
    assert supervision.frozen(2500 * MS, "lidar", frozen=False) == []
    assert supervision.frozen(3 * S, "lidar", frozen=True) == []
    orders = supervision.frozen(3700 * MS, "lidar", frozen=True)
    assert orders == [
        Say("lidar", "is stopped (SIGSTOP) since 700.0 ms", "error"),
        Kill(("lidar",)),
    ]
    assert supervision.frozen(4 * S, "lidar", frozen=True) == []


def test_a_stopped_process_whose_loop_is_to_be_heard_is_left_to_the_vigil():
    supervision = begun((CAMERA, HANGING, FUSION))
    assert supervision.frozen(S, "lidar", frozen=True) == []
    assert supervision.frozen(9 * S, "lidar", frozen=True) == []


def test_a_stopped_process_that_hangs_hears_nothing_and_is_killed_at_once():
    supervision = begun((CAMERA, HANGING, FUSION))
    supervision.frozen(S, "lidar", frozen=True)
    orders = watched(supervision, 1750 * MS, ["camera", "fusion"])
    assert (1700, Kill(("lidar",))) in orders
    supervision.exited(1750 * MS, "lidar", "killed by SIGKILL", clean=False)
    cause = "hung: no sign of life for 700.0 ms; it ended by SIGKILL"
    assert [death.cause for death in supervision.deaths] == [cause]


def test_a_stopped_process_that_goes_on_in_time_is_ended_step_by_step_later():
    supervision = begun((CAMERA, HANGING, FUSION))
    supervision.frozen(S, "lidar", frozen=True)
    supervision.frozen(S + 100 * MS, "lidar", frozen=False)
    orders = watched(supervision, 2 * S, ["camera", "fusion"])
    assert [at for at, order in orders if isinstance(order, Kill)] == [1950]


def test_a_node_that_never_closes_is_killed():
    supervision = begun((CAMERA, HANGING, FUSION), limits=Limits(close_ns=5 * S))
    supervision.reported(S, Report("lidar", State.ENDING))
    orders = watched(supervision, 7 * S, ["camera", "fusion"])
    assert [item for item in orders if isinstance(item[1], Kill)] == [(6000, Kill(("lidar",)))]


def test_a_node_that_declared_long_work_is_not_taken_to_hang_until_it_is_over():
    supervision = begun((CAMERA, HANGING, FUSION))
    supervision.reported(S, Report("lidar", State.BUSY, lasting_ns=5 * S))
    supervision.reported(2 * S, Report("lidar", State.SPOKE))
    orders = watched(supervision, 7 * S, ["camera", "fusion"])
    assert orders[0] == (
        6000,
        Say("lidar", "hangs: no sign of life for 4.00 s; it is ended", "error"),
    )
    supervision = begun((CAMERA, HANGING, FUSION))
    supervision.reported(S, Report("lidar", State.BUSY, lasting_ns=5 * S))
    supervision.reported(2 * S, Report("lidar", State.ALIVE))
    orders = watched(supervision, 7 * S, ["camera", "fusion"])
    assert orders[0][0] == 2700


def test_a_launcher_that_was_asleep_itself_takes_nobody_to_hang():
    supervision = begun((CAMERA, HANGING, FUSION))
    watched(supervision, 1500 * MS, ["camera", "fusion"])
    assert supervision.tick(60 * S) == []
    orders = watched(supervision, 61 * S, ["camera", "fusion"])
    assert [ms for ms, _ in orders][:2] == [60_700, 60_700]


def test_on_a_busy_machine_a_node_may_be_silent_for_twice_as_long_as_others_were_lately():
    def detected_after_ms(lately_ns, until_ns):
        supervision = begun((CAMERA, HANGING, FUSION))
        watched(supervision, 2 * S, ["camera", "fusion", "lidar"])
        watched(supervision, 2 * S + lately_ns, ["camera", "lidar"])
        watched(supervision, until_ns, ["camera", "fusion", "lidar"])
        orders = watched(supervision, until_ns + 4 * S, ["camera", "fusion"])
        return next(ms for ms, order in orders if order == Halt(("lidar",))) - until_ns // MS

    assert detected_after_ms(550 * MS, 3 * S) == 1050  # twice 600 ms, of which a part is forgotten
    assert detected_after_ms(550 * MS, 30 * S) == 700
    assert detected_after_ms(100 * MS, 3 * S) == 700


def test_a_hang_that_its_faults_asked_for_is_no_failure():
    hang = Fault("hang", "lidar", 0, 5 * S)
    lidar = Member("lidar", "restart", hang=HangRule(ends=True), faults=(hang,))
    supervision = begun((CAMERA, lidar, FUSION))
    watched(supervision, 2 * S, ["camera", "fusion"])
    supervision.exited(2 * S, "lidar", "killed by SIGKILL", clean=False)
    assert [death.injected for death in supervision.deaths] == [True]
    assert supervision.exit_code == 0


def test_a_node_is_given_up_when_it_was_restarted_too_often_within_a_window():
    rule = RestartRule(first_ns=MS, longest_ns=MS, most=2, within_ns=10 * S)
    lidar = Member("lidar", "restart", restart=rule)
    supervision = begun((CAMERA, lidar, FUSION))
    texts = []
    for died_ns in (2 * S, 5 * S, 12 * S, 13 * S):
        texts += said(supervision.exited(died_ns, "lidar", "killed", clean=False))
        supervision.tick(died_ns + MS)
    assert [text for _, text in texts] == [
        "died: killed; it is restarted in 1.0 ms",
        "died: killed; it is restarted in 1.0 ms",
        "died: killed; it is restarted in 1.0 ms",
        "died: killed; it is given up after 2 restarts within 10.00 s, "
        "and the graph goes on without it",
    ]
    assert supervision.stopped_because == ""


def test_a_node_that_was_last_heard_before_the_graph_began_is_lost_since_then():
    supervision = Supervision((CAMERA, HANGING), 0)
    for at_ns, name in ((600 * MS, "lidar"), (S, "camera")):
        for state in (State.READY, State.JOINED):
            supervision.reported(at_ns, Report(name, state))
    assert supervision.began_ns == S
    watched(supervision, 2 * S, ["camera"])
    supervision.exited(2 * S, "lidar", "killed by SIGKILL", clean=False)
    supervision.tick(2100 * MS)
    for state in (State.READY, State.JOINED, State.RUNNING, State.SPOKE):
        supervision.reported(2500 * MS, Report("lidar", state))
    (death,) = supervision.deaths
    assert death.lost_ns == -400 * MS
    assert death.recovery_ns == 1900 * MS


def test_a_fusion_node_that_is_given_up_stops_the_graph():
    rule = RestartRule(first_ns=MS, most=1)
    fusion = Member("fusion", "restart", listens=True, answers=True, restart=rule)
    supervision = begun((CAMERA, fusion))
    supervision.exited(2 * S, "fusion", "killed", clean=False)
    supervision.tick(2 * S + MS)
    orders = supervision.exited(3 * S, "fusion", "killed", clean=False)
    assert Halt(("camera",)) in orders
    assert supervision.failure == (
        "fusion died: killed; it is given up after 1 restarts within 300.00 s"
    )


def test_a_node_is_back_when_it_speaks_or_runs_where_it_has_nothing_to_say():
    recorder = Member("recorder", "restart", publishes=False, listens=True, silent=True)
    supervision = begun((CAMERA, LIDAR, FUSION, recorder))
    for name in ("lidar", "recorder"):
        supervision.exited(2 * S, name, "killed", clean=False)
    supervision.tick(3 * S)
    for name in ("lidar", "recorder"):
        for state in (State.READY, State.JOINED, State.RUNNING):
            supervision.reported(4 * S, Report(name, state))
    supervision.reported(5 * S, Report("lidar", State.SPOKE))
    recovered = {death.node: death.recovery_ns for death in supervision.deaths}
    assert recovered == {"lidar": 3 * S, "recorder": 2 * S}


def test_a_node_that_is_slow_to_come_back_is_killed_and_tried_again():
    supervision = begun((CAMERA, LIDAR, FUSION), limits=Limits(ready_ns=5 * S))
    supervision.exited(2 * S, "lidar", "killed", clean=False)
    supervision.tick(2 * S + 100 * MS)
    late_ns = 2 * S + 100 * MS + 5 * S
    assert doing(supervision.tick(late_ns)) == [Kill(("lidar",))]
    assert doing(supervision.exited(late_ns, "lidar", "killed by SIGKILL", clean=False)) == []
    assert Spawn("lidar") in supervision.tick(late_ns + 200 * MS)


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
        ("lidar", "begins without some of its subscribers: they did not join within 1.00 s")
    ]
    assert supervision.tick(limit_ns + 1) == []


def test_a_node_is_killed_when_its_faults_ask_and_that_is_no_failure():
    kills = (Fault("kill", "lidar", 3 * S, 0, every_ns=10 * S),)
    supervision = begun((CAMERA, Member("lidar", "restart", faults=kills), FUSION))
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
    supervision = begun((Member("camera", "continue", faults=kills), FUSION, LIDAR))
    supervision.exited(2 * S, "camera", "exit code 1", clean=False)
    assert doing(supervision.tick(2 * S)) == []
    assert Kill(("camera",)) not in supervision.tick(S + AHEAD_NS + 3 * S)
    assert supervision.next_wakeup_ns() <= S + AHEAD_NS + 5 * S
