"""A deployment beside the old: the steps, run twice, and every step failing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from memory_service import MODEL, RELEASE, Fault, Stage, deployment

from pytest_llmops.deployment.standing import settings_digest
from pytest_llmops.errors import AccessError, CloudError, ConfigurationError
from pytest_llmops.records.deployment import EndpointState

BLUE = deployment("blue")
NEW = {"llmops_traffic_before": '{"blue":100}'}


@pytest.fixture
def stage() -> Stage:
    """Return an endpoint where blue has all the traffic."""
    stage = Stage()
    stage.service.holds({"blue": 100}, BLUE)
    return stage


def test_the_first_deployment_makes_the_endpoint_and_takes_all_traffic_once_it_answers() -> None:
    stage = Stage()
    stage.rollout().deploy(MODEL, {})
    assert stage.service.changed() == ["create endpoint", "create green", "traffic {'green': 100}"]
    assert stage.asked == ["green", "endpoint"]
    assert stage.said == [
        "ner: there is no such endpoint: it is created, without traffic",
        "ner/green: deploying model ner:4, without traffic; this takes minutes",
        "ner/green: healthy, after 0s",
        "ner/green: answers the test request",
        "ner: traffic: green 100 %",
        "ner: answers the test request",
    ]


def test_a_second_deployment_gets_its_traffic_in_steps_with_a_test_at_each(stage: Stage) -> None:
    stage.rollout(replace(RELEASE, pause=300.0)).deploy(MODEL, {"llmops_build": "7"})
    assert stage.service.changed() == [
        "create green",
        "traffic {'blue': 90, 'green': 10}",
        "traffic {'blue': 50, 'green': 50}",
        "traffic {'green': 100}",
    ]
    assert stage.asked == ["green"] * 5 + ["endpoint"]
    assert stage.waits == [300.0, 300.0]
    assert stage.said[-8:] == [
        "ner: watching for 5m",
        "ner/green: answers the test request",
        "ner: traffic: blue 50 %, green 50 %",
        "ner/green: answers the test request",
        "ner: watching for 5m",
        "ner/green: answers the test request",
        "ner: traffic: green 100 %",
        "ner: answers the test request",
    ]
    made = stage.service.endpoints["ner"].deployments["green"]
    assert made.tags == deployment("green", "new", llmops_build="7", **NEW).tags


def test_without_traffic_it_stops_at_none_and_the_steps_can_follow_later(stage: Stage) -> None:
    stage.rollout().deploy(MODEL, {}, with_traffic=False)
    assert stage.service.traffic() == {"blue": 100}
    assert stage.asked == ["green"]
    stage.rollout().advance()
    assert stage.service.traffic() == {"green": 100}
    assert stage.service.changed()[1:] == [
        "traffic {'blue': 90, 'green': 10}",
        "traffic {'blue': 50, 'green': 50}",
        "traffic {'green': 100}",
    ]


def test_done_twice_it_changes_nothing_the_second_time(stage: Stage) -> None:
    stage.rollout().deploy(MODEL, {})
    changed, stage.said = stage.service.changed(), []
    stage.rollout().deploy(MODEL, {})
    stage.rollout().advance()
    stage.rollout().set_share(100)
    assert stage.service.changed() == changed
    assert stage.said == [
        "ner/green: deployed already; traffic: green 100 %; nothing to do",
        "ner/green: its traffic is there already: green 100 %; nothing to do",
        "ner/green: its traffic is there already: green 100 %; nothing to do",
    ]
    assert stage.started == 1, "what is left alone is not announced, or a pipeline would take it back"


def test_a_deployment_that_waits_for_its_traffic_is_announced_again(stage: Stage) -> None:
    stage.rollout().deploy(MODEL, {}, with_traffic=False)
    stage.rollout().deploy(MODEL, {}, with_traffic=False)
    assert stage.said[-1] == "ner/green: deployed already; traffic: blue 100 %; nothing to do"
    assert (stage.started, stage.service.changed()) == (2, ["create green"])


def test_what_was_cut_off_half_way_goes_on_from_there(stage: Stage) -> None:
    stage.service.holds({"blue": 50, "green": 50}, BLUE, deployment("green", "new", **NEW))
    stage.rollout().deploy(MODEL, {})
    assert stage.service.changed() == ["traffic {'green': 100}"]


@pytest.mark.parametrize("state", ["Failed", "Creating", "Canceled"])
def test_a_deployment_that_was_half_made_is_made_again(stage: Stage, state: str) -> None:
    stage.service.holds({"blue": 100}, BLUE, deployment("green", "new", state, **NEW))
    stage.rollout().deploy(MODEL, {})
    assert stage.service.changed()[0] == "create green"
    assert stage.service.traffic() == {"green": 100}


def test_a_deployment_that_remembers_other_traffic_is_told_of_today(stage: Stage) -> None:
    # Kept by a release that failed long ago: a rollback would give the traffic to who had it then.
    old = deployment("green", "new", llmops_traffic_before='{"red":100}')
    stage.service.holds({"blue": 100}, BLUE, deployment("red"), old)
    stage.rollout().deploy(MODEL, {}, with_traffic=False)
    assert stage.service.changed() == ["retag green"]
    assert stage.service.endpoints["ner"].deployments["green"].tags["llmops_traffic_before"] == '{"blue":100}'
    assert stage.said == [
        "ner/green: its tags llmops_traffic_before are up to date now",
        "ner/green: deployed already; traffic: blue 100 %; nothing to do",
    ]


def test_traffic_that_came_to_others_since_a_deployment_was_made_is_what_a_rollback_gives_back(stage: Stage) -> None:
    stage.service.holds({"blue": 100}, BLUE, deployment("purple"))
    stage.rollout().deploy(MODEL, {}, with_traffic=False)
    stage.service.set_traffic("ner", {"purple": 100})
    stage.rollout().set_share(10)
    stage.rollout().rollback()
    assert stage.service.traffic() == {"purple": 100}
    assert stage.said[-2:] == ["ner: the traffic is as it was before: purple 100 %", "ner/green: deleted"]


def test_where_tags_can_not_change_while_a_deployment_runs_that_is_said(stage: Stage) -> None:
    stage.service.retags = False
    stage.service.holds({"blue": 100}, BLUE, deployment("green", "new", llmops_traffic_before="{}"))
    stage.rollout(replace(RELEASE, traffic=(100,))).advance()
    assert stage.service.changed() == ["traffic {'green': 100}"]
    tags = "ner/green: its tags llmops_traffic_before can't be changed while it runs, and stay as they are"
    assert tags in stage.said


def test_what_is_let_through_on_somebodys_word_is_noted_on_what_is_there_already(stage: Stage) -> None:
    verdict = {"llmops_verdict": "open", **NEW}
    stage.service.holds({"blue": 90, "green": 10}, BLUE, deployment("green", "new", **verdict))
    stage.rollout().deploy(MODEL, {"llmops_verdict": "overridden", "llmops_override": "an outage"})
    tags = stage.service.endpoints["ner"].deployments["green"].tags
    expected = deployment("green", "new", llmops_verdict="overridden", llmops_override="an outage", **NEW)
    assert tags == expected.tags
    assert stage.service.changed()[0] == "retag green"


def test_another_flow_of_that_name_without_traffic_is_replaced(stage: Stage) -> None:
    stage.service.holds({"blue": 100}, BLUE, deployment("green", "ancient"))
    stage.rollout().deploy(MODEL, {})
    assert stage.service.changed()[:2] == ["delete green", "create green"]
    assert "ner/green: it has no traffic, and another flow: it is replaced" in stage.said


def test_another_flow_of_that_name_with_traffic_is_refused(stage: Stage) -> None:
    stage.service.holds({"blue": 90, "green": 10}, BLUE, deployment("green", "ancient"))
    with pytest.raises(ConfigurationError) as caught:
        stage.rollout().deploy(MODEL, {})
    assert str(caught.value) == (
        "config.json:3: deployment 'green' has traffic (blue 90 %, green 10 %), and another flow; "
        "name a new one, or leave the name out"
    )
    assert (stage.service.changed(), stage.started) == ([], 0)


@pytest.mark.parametrize("state", ["Failed", "Updating"])
def test_a_deployment_that_has_traffic_is_not_made_again(stage: Stage, state: str) -> None:
    stage.service.holds({"blue": 90, "green": 10}, BLUE, deployment("green", "new", state, **NEW))
    with pytest.raises(ConfigurationError) as caught:
        stage.rollout().deploy(MODEL, {})
    assert str(caught.value) == (
        f"config.json:3: deployment 'green' has traffic (blue 90 %, green 10 %), and is not healthy (state {state}); "
        "take its traffic back first: llmops rollback"
    )
    assert (stage.service.changed(), stage.started) == ([], 0)
    stage.rollout().rollback()
    assert stage.service.traffic() == {"blue": 100}


CHANGED = replace(RELEASE, instance_count=4, environment_variables={"MODE": "fast"})


def test_other_settings_of_a_deployment_that_has_traffic_are_refused(stage: Stage) -> None:
    stage.service.holds({"green": 100}, BLUE, deployment("green", "new", **NEW))
    with pytest.raises(ConfigurationError) as caught:
        stage.rollout(CHANGED).deploy(MODEL, {})
    assert str(caught.value) == (
        "config.json:3: deployment 'green' has traffic (green 100 %), and other settings than are to be deployed; "
        "name a new one: --deployment NAME"
    )
    assert stage.service.changed() == []


def test_other_settings_of_a_deployment_without_traffic_make_it_again(stage: Stage) -> None:
    stage.service.holds({"blue": 100}, BLUE, deployment("green", "new", **NEW))
    stage.rollout(CHANGED).deploy(MODEL, {})
    assert stage.service.changed()[0] == "create green"
    assert stage.said[0] == "ner/green: it has no traffic, and other settings: it is made again"
    made = stage.service.endpoints["ner"].deployments["green"]
    assert made.tags["llmops_settings"] == settings_digest(CHANGED) != settings_digest(RELEASE)


def test_how_traffic_is_moved_is_no_setting_of_a_deployment() -> None:
    moved = replace(RELEASE, traffic=(1,), pause=5.0, timeout=9.0, prior="blue", on_failure="keep", line=9, file="b")
    assert settings_digest(moved) == settings_digest(RELEASE)


def test_a_prior_deployment_has_to_be_there_and_healthy_and_nobody_else_may_lose(stage: Stage) -> None:
    release = replace(RELEASE, prior="red", traffic=(20,))

    def refused() -> str:
        with pytest.raises(ConfigurationError) as caught:
            stage.rollout(release).deploy(MODEL, {})
        assert stage.service.changed() == []
        return str(caught.value)

    assert refused() == (
        "config.json:3: endpoint 'ner' has no deployment 'red', which is to have the rest of the traffic; it has: blue"
    )
    stage.service.holds({"blue": 100}, BLUE, deployment("red"))
    assert refused() == (
        "config.json:3: deployment 'blue' has traffic, and would lose it to 'red', which is to have the rest; "
        "correct that name, or leave it out"
    )
    stage.service.holds({}, BLUE, deployment("red", state="Failed"))
    assert refused() == (
        "config.json:3: deployment 'red' is to have more of the traffic, and is not healthy (state Failed); "
        "see to it first, or name another one"
    )
    stage.service.holds({"red": 100}, BLUE, deployment("red"))
    stage.rollout(release).deploy(MODEL, {})
    assert stage.service.traffic() == {"red": 80, "green": 20}


def test_a_share_that_is_there_already_moves_nothing_of_others(stage: Stage) -> None:
    stage.service.holds({"purple": 100}, BLUE, deployment("purple"), deployment("green", "new", **NEW))
    stage.rollout(replace(RELEASE, prior="blue")).set_share(0)
    assert stage.service.changed() == []


def test_a_prior_deployment_of_an_endpoint_that_is_not_there_is_refused() -> None:
    stage = Stage()
    with pytest.raises(ConfigurationError) as caught:
        stage.rollout(replace(RELEASE, prior="blue", traffic=(20,))).deploy(MODEL, {})
    assert str(caught.value) == (
        "config.json:3: endpoint 'ner' has no deployment 'blue', which is to have the rest of the traffic; "
        "it has none: leave that name out"
    )
    assert stage.service.changed() == []


def test_traffic_for_a_deployment_that_is_not_there_is_refused(stage: Stage) -> None:
    with pytest.raises(ConfigurationError, match="endpoint 'ner' has no deployment 'green'; it has: blue"):
        stage.rollout().advance()
    with pytest.raises(ConfigurationError, match="there is no endpoint 'ner'; deploy it first"):
        Stage().rollout().set_share(10)


def test_a_deployment_that_is_not_healthy_gets_no_traffic(stage: Stage) -> None:
    stage.service.holds({"blue": 100}, BLUE, deployment("green", "new", "Failed"))
    with pytest.raises(CloudError) as caught:
        stage.rollout().set_share(100)
    assert str(caught.value) == "ner/green: it is not healthy (state Failed): it gets no traffic"
    assert stage.service.changed() == []


def test_an_endpoint_whose_creation_failed_is_created_again() -> None:
    stage = Stage()
    stage.service.endpoints["ner"] = EndpointState(name="ner", state="Failed", url="")
    stage.rollout().deploy(MODEL, {})
    assert stage.service.changed()[0] == "create endpoint"
    assert stage.said[0] == "ner: its creation failed once: it is created, without traffic"


def test_an_endpoint_whose_last_change_failed_is_used(stage: Stage) -> None:
    stage.service.endpoints["ner"] = replace(stage.service.endpoints["ner"], state="Failed")
    stage.rollout().deploy(MODEL, {})
    assert stage.service.changed()[0] == "create green"


def test_a_share_can_be_set_in_one_step_up_and_down(stage: Stage) -> None:
    stage.service.holds({"blue": 100}, BLUE, deployment("green", "new", **NEW))
    for percent, traffic in (30, {"blue": 70, "green": 30}), (5, {"blue": 95, "green": 5}), (0, {"blue": 100}):
        stage.rollout().set_share(percent)
        assert stage.service.traffic() == traffic


def test_it_waits_for_what_somebody_else_is_doing_to_the_endpoint(stage: Stage) -> None:
    busy = replace(stage.service.endpoints["ner"], state="Updating", changing=True)
    stage.service.endpoints["ner"] = busy

    def done(seconds: float) -> None:
        stage.waits.append(seconds)
        if len(stage.waits) == 3:
            stage.service.endpoints["ner"] = replace(busy, state="Succeeded", changing=False)

    rollout = stage.rollout()
    object.__setattr__(rollout.around, "sleep", done)
    rollout.deploy(MODEL, {})
    assert stage.waits == [0.2, 0.5, 1.0]
    assert stage.service.traffic() == {"green": 100}


def test_an_endpoint_that_stays_busy_is_left_alone_after_a_while(stage: Stage) -> None:
    stage.service.endpoints["ner"] = replace(stage.service.endpoints["ner"], state="Updating", changing=True)
    with pytest.raises(CloudError, match="ner: it is still being changed; see who does that, and try again then"):
        stage.rollout().deploy(MODEL, {})
    assert 600 <= sum(stage.waits) < 660
    assert stage.service.changed() == []


# Failures


def test_a_failing_test_request_puts_the_traffic_back_and_removes_the_deployment(stage: Stage) -> None:
    stage.answers[3] = ["status 500", "output 'entities' is missing"]
    with pytest.raises(CloudError) as caught:
        stage.rollout().deploy(MODEL, {})
    assert str(caught.value) == "ner/green: the test request failed: status 500; output 'entities' is missing"
    assert stage.service.changed()[-2:] == ["traffic {'blue': 100}", "delete green"]
    assert stage.said[-7:] == [
        "ner: traffic: blue 50 %, green 50 %",
        "ner/green: FAILED: what was changed is taken back",
        "ner: the traffic is as it was before: blue 100 %",
        "ner/green: the end of its log:",
        "  | starting",
        "  | KeyError: 'AOAI'",
        "ner/green: deleted",
    ]


def test_a_failed_deployment_is_kept_where_that_is_configured(stage: Stage) -> None:
    stage.answers[1] = ["status 500"]
    with pytest.raises(CloudError):
        stage.rollout(replace(RELEASE, on_failure="keep")).deploy(MODEL, {})
    assert stage.service.traffic() == {"blue": 100}
    assert stage.said[-1] == "ner/green: kept, without traffic, as on_failure says"


def test_what_a_command_has_not_made_it_does_not_remove(stage: Stage) -> None:
    stage.service.holds({"blue": 100}, BLUE, deployment("green", "new", **NEW))
    stage.answers[2] = ["status 500"]
    with pytest.raises(CloudError):
        stage.rollout().advance()
    assert stage.service.traffic() == {"blue": 100}
    assert "green" in stage.service.endpoints["ner"].deployments


def test_a_healthy_deployment_that_was_there_is_not_removed_where_its_test_fails(stage: Stage) -> None:
    green = deployment("green", "new", llmops_traffic_before="{}")
    stage.service.holds({"blue": 100}, deployment("blue", llmops_traffic_before='{"green":100}'), green)
    stage.answers[1] = ["status 500"]
    with pytest.raises(CloudError):
        stage.rollout().deploy(MODEL, {})
    assert stage.service.traffic() == {"blue": 100}
    assert "green" in stage.service.endpoints["ner"].deployments
    stage.rollout().rollback()
    assert stage.said[-1] == "ner/green: kept: a rollback of 'blue' would give the traffic back to it"


def test_a_failure_before_anything_was_changed_says_nothing_of_taking_back(stage: Stage) -> None:
    stage.service.holds({"blue": 90, "green": 10}, BLUE, deployment("green", "new", **NEW))
    stage.answers[1] = ["status 500"]
    with pytest.raises(CloudError):
        stage.rollout().deploy(MODEL, {})
    assert stage.said == [
        "ner/green: it is there already, with this flow",
        "ner/green: before this command it had 10 % of the traffic already; to take that away, too: llmops rollback",
    ]


def test_a_share_of_a_command_that_was_cut_off_is_told_where_its_repetition_fails(stage: Stage) -> None:
    stage.service.holds({"blue": 90, "green": 10}, BLUE, deployment("green", "new", **NEW))
    stage.answers[2] = ["status 500"]
    with pytest.raises(CloudError):
        stage.rollout().deploy(MODEL, {})
    assert "ner: the traffic is as it was before: blue 90 %, green 10 %" in stage.said
    assert stage.said[-1:] == [
        "ner/green: before this command it had 10 % of the traffic already; to take that away, too: llmops rollback",
    ]


def test_no_secret_of_the_log_is_shown(stage: Stage) -> None:
    variables = {"API_KEY": "abc12", "ENDPOINT": "https://internal.example", "MODE": "fast"}
    log = "starting, fast\nAuthorization: Bearer eyJhbGciOi.eyJz\napi_key=xyz\nabc12 at https://internal.example"
    stage.service.log = lambda *args: log  # type: ignore[method-assign]
    stage.answers[1] = ["status 500"]
    with pytest.raises(CloudError):
        stage.rollout(replace(RELEASE, environment_variables=variables)).deploy(MODEL, {})
    shown = [line for line in stage.said if line.startswith("  |")]
    assert shown == ["  | starting, fast", "  | Authorization: Bearer ***", "  | api_key=***", "  | *** at ***"]


def test_no_right_to_do_it_is_said_before_anything_was_changed(stage: Stage) -> None:
    stage.service.failing["create green"] = Fault(AccessError("no right"))
    with pytest.raises(AccessError, match="no right"):
        stage.rollout().deploy(MODEL, {})
    assert "FAILED" not in " ".join(stage.said)


@pytest.mark.parametrize(
    "call", ["create green", "traffic {'blue': 90, 'green': 10}", "traffic {'green': 100}", "delete green"]
)
def test_a_lack_of_access_that_is_said_after_the_change_was_made_is_taken_back(stage: Stage, call: str) -> None:
    stage.service.holds({"blue": 100}, BLUE, *[deployment("green", "ancient")] * (call == "delete green"))
    stage.service.failing[call] = Fault(AccessError("401"), late=True)
    with pytest.raises(CloudError, match="401"):
        stage.rollout().deploy(MODEL, {})
    assert stage.service.traffic() == {"blue": 100}
    assert list(stage.service.endpoints["ner"].deployments) == ["blue"]


def test_where_it_can_not_be_seen_whether_anything_was_changed_help_is_called(stage: Stage) -> None:
    stage.service.holds({"blue": 100}, BLUE, deployment("green", "new", **NEW))
    call = "traffic {'blue': 90, 'green': 10}"
    gone = Fault(AccessError("the login has expired"))
    stage.service.meanwhile[call] = lambda: stage.service.failing.update({call: gone, "find": gone})
    with pytest.raises(CloudError, match="the login has expired"):
        stage.rollout().advance()
    assert "ner: THE TRAFFIC COULD NOT BE PUT BACK (the login has expired)" in stage.said


def test_a_right_that_is_missing_half_way_is_a_failure_that_is_taken_back(stage: Stage) -> None:
    stage.service.failing["traffic {'blue': 50, 'green': 50}"] = Fault(AccessError("the login was refused"))
    with pytest.raises(CloudError, match="the login was refused"):
        stage.rollout().deploy(MODEL, {})
    assert stage.service.traffic() == {"blue": 100}


def test_a_deployment_that_is_not_healthy_is_taken_back(stage: Stage) -> None:
    stage.service.made_state = "Failed"
    with pytest.raises(CloudError) as caught:
        stage.rollout().deploy(MODEL, {})
    assert str(caught.value) == "ner/green: it is not healthy (state Failed)"
    assert list(stage.service.endpoints["ner"].deployments) == ["blue"]


def test_traffic_that_somebody_else_moved_meanwhile_is_left_alone(stage: Stage) -> None:
    def elsewhere() -> None:
        red = deployment("red")
        stage.service.holds({"red": 100}, BLUE, red, stage.service.endpoints["ner"].deployments["green"])

    rollout = stage.rollout(replace(RELEASE, pause=60.0))
    object.__setattr__(rollout.around, "sleep", lambda seconds: elsewhere())
    with pytest.raises(CloudError) as caught:
        rollout.deploy(MODEL, {})
    assert str(caught.value) == (
        "ner: somebody else moved the traffic meanwhile: it was blue 90 %, green 10 %, now it is red 100 %"
    )
    assert stage.service.traffic() == {"red": 100}
    assert (
        "ner: somebody else set the traffic to red 100 %: it is left like that; before this command it was blue 100 %"
        in stage.said
    )
    assert stage.said[-1] == "ner/green: deleted"


def test_deployments_that_vanished_meanwhile_get_nothing_back(stage: Stage) -> None:
    stage.service.holds({"blue": 60, "red": 40}, BLUE, deployment("red"))

    def vanish() -> None:
        state = stage.service.endpoints["ner"]
        left = {name: one for name, one in state.deployments.items() if name != "red"}
        stage.service.endpoints["ner"] = replace(state, deployments=left)

    stage.answers[2] = ["status 500"]
    stage.events[2] = vanish
    with pytest.raises(CloudError):
        stage.rollout(replace(RELEASE, traffic=(100,))).deploy(MODEL, {})
    assert stage.service.traffic() == {"blue": 100}
    assert "ner: the traffic is blue 100 %; it can't be as it was before: gone are red 40 %" in stage.said


def test_where_those_who_had_the_traffic_are_gone_a_failure_leaves_it_where_it_is(stage: Stage) -> None:
    stage.answers[4] = ["status 500"]
    stage.events[4] = lambda: stage.service.delete_deployment("ner", "blue")
    with pytest.raises(CloudError):
        stage.rollout().deploy(MODEL, {})
    assert stage.service.traffic() == {"green": 100}
    start = stage.said.index("ner/green: FAILED: what was changed is taken back")
    assert stage.said[start + 1 : start + 4] == [
        "ner: THE TRAFFIC COULD NOT BE PUT BACK (those who had it are gone: blue 100 %)",
        "  it stays: green 100 %",
        "  give it to a deployment that works, now: az NAME=100",
    ]
    assert stage.said[-1] == "ner/green: not deleted: it has traffic"


@pytest.mark.parametrize("late", [False, True], ids=["refused", "answer lost"])
@pytest.mark.parametrize("error", [CloudError("500"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
@pytest.mark.parametrize("number", range(16))
def test_whatever_call_fails_the_traffic_is_as_it_was(
    stage: Stage, number: int, error: BaseException, late: bool
) -> None:
    stage.service.faults[number] = Fault(error, late=late)
    with pytest.raises(type(error)):
        stage.rollout().deploy(MODEL, {})
    assert stage.service.traffic() == {"blue": 100}
    assert list(stage.service.endpoints["ner"].deployments) == ["blue"]


def test_each_of_those_calls_is_one_of_a_deployment_that_goes_well(stage: Stage) -> None:
    stage.rollout().deploy(MODEL, {})
    assert len(stage.service.calls) == 16


def test_putting_the_traffic_back_is_tried_again(stage: Stage) -> None:
    stage.answers[2] = ["status 500"]
    attempts = [Fault(CloudError("429")), Fault(CloudError("connection lost"), late=True)]
    plain = stage.service.set_traffic

    def flaky(endpoint: str, traffic: dict[str, int]) -> None:
        if traffic == {"blue": 100} and attempts:
            stage.service.failing["traffic {'blue': 100}"] = attempts.pop(0)
        else:
            stage.service.failing.clear()
        plain(endpoint, traffic)

    stage.service.set_traffic = flaky  # type: ignore[method-assign,assignment]
    with pytest.raises(CloudError, match="status 500"):
        stage.rollout().deploy(MODEL, {})
    assert stage.service.traffic() == {"blue": 100}
    start = stage.said.index("ner/green: FAILED: what was changed is taken back")
    assert stage.said[start : start + 4] == [
        "ner/green: FAILED: what was changed is taken back",
        "ner: the traffic is not put back yet: 429",
        "ner: the traffic is not put back yet: connection lost",
        "ner: the traffic is as it was before: blue 100 %",
    ]


def test_where_the_traffic_cannot_be_put_back_it_is_said_what_it_should_be_and_how(stage: Stage) -> None:
    stage.answers[2] = ["status 500"]
    stage.service.failing["traffic {'blue': 100}"] = Fault(CloudError("HTTP 503"))
    with pytest.raises(CloudError, match="status 500"):
        stage.rollout().deploy(MODEL, {})
    assert stage.waits == [0.0, 1.0, 5.0, 20.0]
    start = stage.said.index("ner: THE TRAFFIC COULD NOT BE PUT BACK (HTTP 503)")
    assert stage.said[start + 1 : start + 3] == ["  it should be: blue 100 %", "  set it by hand, now: az blue=100"]
    assert stage.said[-1] == "ner/green: not deleted: it has traffic"


def test_an_interrupt_while_traffic_is_put_back_says_what_it_should_be(stage: Stage) -> None:
    stage.answers[2] = ["status 500"]
    stage.service.failing["traffic {'blue': 100}"] = Fault(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        stage.rollout().deploy(MODEL, {})
    assert stage.said[-3:] == [
        "ner: THE TRAFFIC COULD NOT BE PUT BACK (interrupted)",
        "  it should be: blue 100 %",
        "  set it by hand, now: az blue=100",
    ]


def test_a_deployment_that_cannot_be_removed_is_said(stage: Stage) -> None:
    stage.answers[1] = ["status 500"]
    stage.service.failing["delete green"] = Fault(CloudError("HTTP 409"))
    with pytest.raises(CloudError, match="status 500"):
        stage.rollout().deploy(MODEL, {})
    assert stage.said[-1] == "ner/green: NOT DELETED, and it costs money: HTTP 409; delete it by hand"


# In place


def test_in_place_the_new_deployment_has_all_traffic_at_once_and_is_tested_there(stage: Stage) -> None:
    stage.service.in_place = True
    stage.rollout().deploy(MODEL, {})
    assert (stage.service.changed(), stage.asked) == (["create green"], ["endpoint"])
    assert stage.said[0] == "ner/green: deploying model ner:4, in the place of what runs there; this takes minutes"
    stage.rollout().deploy(MODEL, {})
    assert stage.service.changed() == ["create green"]


def test_in_place_a_failure_puts_back_what_ran_there(stage: Stage) -> None:
    stage.service.in_place = True
    stage.answers[1] = ["status 500"]
    with pytest.raises(CloudError):
        stage.rollout().deploy(MODEL, {})
    assert stage.service.traffic() == {"blue": 100}
    assert list(stage.service.endpoints["ner"].deployments) == ["blue"]


def test_in_place_there_is_no_deployment_without_traffic(stage: Stage) -> None:
    stage.service.in_place = True
    with pytest.raises(ConfigurationError) as caught:
        stage.rollout().check("new", with_traffic=False)
    assert str(caught.value) == (
        "config.json:3: a new deployment takes all traffic at once there: it can't be made without; "
        "leave out --no-traffic"
    )


# Rollback


def test_a_rollback_gives_the_traffic_back_to_who_had_it(stage: Stage) -> None:
    stage.rollout().deploy(MODEL, {})
    stage.said.clear()
    stage.rollout().rollback()
    assert stage.service.traffic() == {"blue": 100}
    assert stage.said == ["ner: the traffic is as it was before: blue 100 %", "ner/green: deleted"]


def test_a_rollback_keeps_the_deployment_where_that_is_configured(stage: Stage) -> None:
    stage.rollout().deploy(MODEL, {})
    stage.rollout(replace(RELEASE, on_failure="keep")).rollback()
    assert stage.service.traffic() == {"blue": 100}
    assert "green" in stage.service.endpoints["ner"].deployments


def test_a_rollback_of_nothing_is_fine(stage: Stage) -> None:
    stage.rollout().rollback()
    Stage().rollout().rollback()
    assert stage.said == ["ner/green: there is no such deployment: nothing to take back"]
    assert stage.service.changed() == []


def test_a_rollback_of_a_deployment_without_traffic_moves_none(stage: Stage) -> None:
    stage.service.holds({"red": 100}, BLUE, deployment("red"), deployment("green", "new", **NEW))
    stage.rollout().rollback()
    assert stage.service.traffic() == {"red": 100}
    assert stage.said == ["ner/green: it has no traffic; traffic: red 100 %: it stays so", "ner/green: deleted"]


def test_a_rollback_of_the_first_deployment_leaves_no_traffic() -> None:
    stage = Stage()
    stage.rollout().deploy(MODEL, {})
    stage.rollout().rollback()
    assert stage.service.endpoints["ner"] == EndpointState(
        name="ner", state="Succeeded", url=stage.service.endpoints["ner"].url
    )


def test_a_rollback_to_what_is_gone_leaves_the_traffic_where_it_is(stage: Stage) -> None:
    stage.service.holds({"green": 100}, deployment("green", "new", **NEW))
    with pytest.raises(CloudError) as caught:
        stage.rollout().rollback()
    assert str(caught.value) == (
        "ner/green: those who had the traffic before are gone, or not healthy (blue 100 %): it stays where it is"
    )
    assert stage.service.traffic() == {"green": 100}


@pytest.mark.parametrize("tag", ["", "{", "[]", '{"blue":"100"}', '{"blue":-1}', '{"blue":true}'])
def test_a_rollback_without_a_memory_is_refused(stage: Stage, tag: str) -> None:
    made = deployment("green", "new", llmops_traffic_before=tag)
    stage.service.holds({"blue": 50, "green": 50}, BLUE, made)
    with pytest.raises(ConfigurationError) as caught:
        stage.rollout().rollback()
    assert str(caught.value) == (
        "config.json:3: ner/green does not say who had the traffic before it was made (tag llmops_traffic_before); "
        "set it by hand: az NAME=100"
    )


def test_a_rollback_leaves_others_what_they_got_since(stage: Stage) -> None:
    others = deployment("yellow"), deployment("green", "new", **NEW)
    stage.service.holds({"green": 60, "yellow": 40}, BLUE, *others)
    stage.rollout().rollback()
    assert stage.service.traffic() == {"blue": 60, "yellow": 40}
    assert stage.said[0] == "ner: its traffic is given back, others keep theirs: blue 60 %, yellow 40 %"


def test_a_rollback_to_what_is_not_healthy_leaves_the_traffic_where_it_is(stage: Stage) -> None:
    stage.service.holds({"green": 100}, deployment("blue", state="Failed"), deployment("green", "new", **NEW))
    with pytest.raises(CloudError, match=r"are gone, or not healthy \(blue 100 %\): it stays where it is"):
        stage.rollout().rollback()
    assert stage.service.traffic() == {"green": 100}


def test_a_deployment_that_remembers_itself_remembers_nothing(stage: Stage) -> None:
    green = deployment("green", "new", llmops_traffic_before='{"blue":90,"green":10}')
    stage.service.holds({"blue": 90, "green": 10}, BLUE, green)
    with pytest.raises(ConfigurationError, match="does not say who had the traffic before it was made"):
        stage.rollout().rollback()


# Versions


def test_traffic_is_not_given_to_another_version_of_that_name(stage: Stage) -> None:
    stage.rollout().deploy(replace(MODEL, digest="1111aaaa2222"), {}, with_traffic=False)
    stage.rollout().deploy(replace(MODEL, digest="3333bbbb4444"), {}, with_traffic=False)
    changed = stage.service.changed()
    for act in stage.rollout().advance, lambda version: stage.rollout().set_share(100, version):
        with pytest.raises(ConfigurationError) as caught:
            act("1111aaaa2222")
        assert str(caught.value) == (
            "config.json:3: deployment 'green' is another version now: 3333bbbb, not 1111aaaa; "
            "somebody else deployed to that name; deploy yours again, to a name of its own"
        )
    assert stage.service.changed() == changed
    stage.rollout().advance("3333bbbb")
    assert stage.service.traffic() == {"green": 100}


@pytest.mark.parametrize("share", [0, 10, 100])
def test_a_rollback_leaves_another_version_of_that_name_alone(stage: Stage, share: int) -> None:
    stage.service.holds({"blue": 100 - share, "green": share}, BLUE, deployment("green", "3333bbbb4444", **NEW))
    stage.rollout().rollback("1111aaaa2222")
    assert stage.service.changed() == []
    assert stage.said[0].startswith("ner/green: it is another version now, 3333bbbb, not 1111aaaa: it is left alone;")


def test_a_rollback_of_what_does_not_say_its_version_is_refused_where_it_has_traffic(stage: Stage) -> None:
    green = replace(deployment("green"), tags={})
    stage.service.holds({"blue": 100}, BLUE, green)
    stage.rollout().rollback("1111aaaa")
    assert stage.said == [
        "ner/green: it is another version now, unknown, not 1111aaaa: it is left alone; traffic: blue 100 %"
    ]
    stage.service.holds({"green": 100}, BLUE, green)
    with pytest.raises(ConfigurationError, match="and does not say which version it is; see what it is, then call"):
        stage.rollout().rollback("1111aaaa")


def test_a_deployment_that_somebody_else_replaced_meanwhile_gets_nothing_and_stays(stage: Stage) -> None:
    def replaced() -> None:
        stage.service.holds(stage.service.traffic(), BLUE, deployment("green", "ancient"))

    stage.events[1] = replaced
    with pytest.raises(CloudError) as caught:
        stage.rollout().deploy(MODEL, {})
    assert str(caught.value) == (
        "ner/green: somebody else put another version there meanwhile: it is of version ancient, not new"
    )
    assert stage.service.traffic() == {"blue": 100}
    assert stage.said[-1] == "ner/green: not deleted: somebody else put another version there meanwhile"
