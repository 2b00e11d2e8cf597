"""Web apps as the real libraries meet them in the emulator: images built, slots, shares, swaps, and in place."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from azure_blob import Azurite
from azure_control_plane import add_connection
from azure_emulator import WORKSPACE, Emulator
from azure_web import CLIENT_ID, IDENTITY, Web, add_web

from pytest_llmops.azure.registry import Registry
from pytest_llmops.azure.webapp import WebApps
from pytest_llmops.deployment.rollout import Rollout
from pytest_llmops.deployment.takeback import Surroundings
from pytest_llmops.errors import AccessError, CloudError, ConfigurationError
from pytest_llmops.records.deployment import FLOW_DIGEST, TRAFFIC_BEFORE, ModelVersion, Release, WebApp
from pytest_llmops.records.experiment import Flow

PLACE = WebApp(
    registry="imagesreg",
    registry_resource_group="rg-images",
    resource_group="rg-web",
    plan="plan-web",
    sku="S1",
    identity="id-web",
)
BASIC = replace(PLACE, sku="B3")
BLUE = Release(
    env="dev",
    kind="webapp",
    endpoint="ner-web",
    deployment="blue",
    environment_variables={"MODE": "fast=1 b"},
    traffic=(10, 100),
    timeout=5.0,
    webapp=PLACE,
    file="experiment.yaml",
    line=9,
)
GREEN = replace(BLUE, deployment="green")
TAGS = {FLOW_DIGEST: "d" * 64, TRAFFIC_BEFORE: "{}"}


def model(digest: str) -> ModelVersion:
    return ModelVersion(name="ner", version="3", id="azureml:ner:3", digest=digest * 64)


@pytest.fixture
def flow(tmp_path: Path) -> Flow:
    folder = tmp_path / "ner"
    folder.mkdir()
    (folder / "flow.flex.yaml").write_text("entry: ner:find\n", encoding="utf-8")
    (folder / "ner.py").write_text("def find(text): ...\n", encoding="utf-8")
    return Flow(name="ner", kind="flex", file=folder / "flow.flex.yaml", folder=folder, entry="ner:find")


@pytest.fixture
def web(azure: Emulator, azurite: Azurite) -> Web:
    del azurite  # what registries build is uploaded to it
    return add_web(azure)


@pytest.fixture
def apps(azure: Emulator, web: Web, flow: Flow) -> Callable[..., WebApps]:
    def make(place: WebApp = PLACE, say: Callable[[str], None] = lambda line: None) -> WebApps:
        return WebApps(azure.client(), place, flow=flow, say=say)

    del web
    return make


def rollout(service: WebApps, release: Release, said: list[str], problems: Mapping[str, str] | None = None) -> Rollout:
    """Return a rollout whose test request fails at the deployments that have a problem."""

    def smoke(address: Any) -> list[str]:
        problem = (problems or {}).get(address.deployment)
        return [problem] if problem else []

    around = Surroundings(
        service=service,
        release=release,
        smoke=smoke,
        say=said.append,
        by_hand=lambda traffic: f"az {dict(traffic)}",
        sleep=lambda _: None,
    )
    return Rollout(around)


def test_the_first_deployment_makes_plan_and_web_app_and_takes_all_traffic(
    apps: Callable[..., WebApps], web: Web
) -> None:
    said: list[str] = []
    rollout(apps(), BLUE, said).deploy(model("a"), {"commit": "c1"})
    assert web.plans["plan-web"]["sku"] == {"name": "S1"}
    production = web.spots["ner-web"]
    assert web.traffic("ner-web") == {"blue": 100}
    image = production.config["linuxFxVersion"].removeprefix("DOCKER|imagesreg.azurecr.io/")
    assert image.startswith("ner-web:")
    assert {"Dockerfile", "serve.py", "requirements.txt", "flow/ner.py"} <= set(web.contexts[image])
    assert production.config["acrUserManagedIdentityID"] == CLIENT_ID
    assert production.body["identity"] == {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}}
    assert production.settings["MODE"] == "fast=1 b"
    assert production.settings["PF_CONNECTION_PROVIDER"] == f"azureml:/{WORKSPACE.id}"
    assert production.settings["AZURE_CLIENT_ID"] == CLIENT_ID
    found = apps().find("ner-web")
    assert found is not None
    assert (found.traffic, found.url) == ({"blue": 100}, "https://ner-web.azurewebsites.net/score")
    assert found.deployments["blue"].ready
    tags = found.deployments["blue"].tags
    assert (tags["commit"], tags[FLOW_DIGEST], tags[TRAFFIC_BEFORE]) == ("c1", "a" * 64, "{}")
    assert said[-1] == "ner-web: answers the test request"


def test_a_second_deployment_goes_beside_the_first_and_takes_over_step_by_step(
    apps: Callable[..., WebApps], web: Web, azure: Emulator
) -> None:
    rollout(apps(), BLUE, []).deploy(model("a"), {})
    azure.log.clear()
    rollout(apps(), GREEN, []).deploy(model("b"), {})
    moved = [line for line in azure.log if line.startswith("traffic ")]
    assert moved == [
        "traffic ner-web: green 10, blue 90",
        "traffic ner-web: blue 100",
        "traffic ner-web: green 100",
    ]
    found = apps().find("ner-web")
    assert found is not None
    assert found.deployments["blue"].ready
    rollout(apps(), GREEN, []).rollback()
    assert web.traffic("ner-web") == {"blue": 100}
    after = apps().find("ner-web")
    assert after is not None
    assert set(after.deployments) == {"blue"}


def test_run_twice_nothing_is_made_again(apps: Callable[..., WebApps], azure: Emulator, web: Web) -> None:
    rollout(apps(), BLUE, []).deploy(model("a"), {})
    azure.log.clear()
    said: list[str] = []
    rollout(apps(), BLUE, said).deploy(model("a"), {})
    assert said == ["ner-web/blue: deployed already; traffic: blue 100 %; nothing to do"]
    assert not [line for line in azure.log if line.startswith(("PUT", "PATCH", "DELETE"))]
    assert [app.name for app in apps().list()] == ["ner-web"]


@pytest.mark.parametrize("step", ["beside", "with a share", "with all"])
def test_whatever_fails_the_traffic_is_as_it_was(
    apps: Callable[..., WebApps], azure: Emulator, web: Web, step: str
) -> None:
    rollout(apps(), BLUE, []).deploy(model("a"), {})
    problems = {"green": "wrong"} if step == "beside" else {}
    if step == "with a share":
        azure.fail("PATCH", r"ner-web/config/web", "conflict")
    if step == "with all":
        azure.fail("POST", "slotsswap", "lro-failed")
    with pytest.raises(CloudError):
        rollout(apps(), GREEN, [], problems).deploy(model("b"), {})
    assert web.traffic("ner-web") == {"blue": 100}
    assert web.spots.keys() == {"ner-web"}


BESIDE = (
    ("PUT", r"slots/llmops$", 0),
    ("PUT", r"slots/llmops/config/appsettings", 0),
    ("PATCH", r"slots/llmops/config/web", 0),
    ("PATCH", r"ner-web/config/web", 0),
    ("PATCH", r"ner-web/config/web", 1),
    ("POST", r"slotsswap", 0),
)
IN_PLACE = (("PUT", r"ner-web/config/appsettings", 0), ("PATCH", r"ner-web/config/web", 0))


@pytest.mark.parametrize(
    ("place", "method", "pattern", "after"),
    [*((PLACE, *write) for write in BESIDE), *((BASIC, *write) for write in IN_PLACE)],
)
def test_whatever_write_fails_all_is_as_it_was_or_as_it_should_be(
    apps: Callable[..., WebApps], azure: Emulator, web: Web, place: WebApp, method: str, pattern: str, after: int
) -> None:
    blue, green = replace(BLUE, webapp=place), replace(GREEN, webapp=place)
    rollout(apps(place), blue, []).deploy(model("a"), {})
    image = web.spots["ner-web"].config["linuxFxVersion"]
    for how in ("forbidden", "conflict", "drop-answer"):
        web.spots.pop("ner-web/slots/llmops", None)
        azure.fail(method, pattern, how, after=after)
        try:
            rollout(apps(place), green, []).deploy(model("b"), {})
        except (AccessError, CloudError):
            found = apps(place).find("ner-web")
            assert found is not None
            assert (found.traffic, set(found.deployments)) == ({"blue": 100}, {"blue"})
            assert web.spots["ner-web"].config["linuxFxVersion"] == image
        else:
            assert how == "drop-answer"
            assert web.traffic("ner-web") == {"green": 100}


def test_access_that_ends_in_the_middle_of_a_promotion_puts_the_traffic_back(
    apps: Callable[..., WebApps], azure: Emulator, web: Web
) -> None:
    rollout(apps(), BLUE, []).deploy(model("a"), {})
    rollout(apps(), replace(GREEN, traffic=(10,)), []).deploy(model("b"), {})
    azure.fail("POST", "slotsswap", "forbidden")
    with pytest.raises(CloudError, match="no right to do this"):
        rollout(apps(), GREEN, []).set_share(100)
    assert web.traffic("ner-web") == {"blue": 90, "green": 10}


def test_what_somebody_else_put_into_the_slot_during_the_build_stays_there(
    apps: Callable[..., WebApps], web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout(apps(), BLUE, []).deploy(model("a"), {})
    plain = Registry.build

    def build(*arguments: Any) -> str:
        monkeypatch.setattr(Registry, "build", plain)
        rollout(apps(), replace(GREEN, deployment="bob", traffic=(10,)), []).deploy(model("c"), {})
        return plain(*arguments)

    monkeypatch.setattr(Registry, "build", build)
    with pytest.raises(CloudError, match="somebody else deployed to the web app, or moved its traffic, meanwhile"):
        rollout(apps(), GREEN, []).deploy(model("b"), {})
    assert web.traffic("ner-web") == {"bob": 10, "blue": 90}


def test_a_swap_whose_answer_is_lost_is_not_swapped_again(
    apps: Callable[..., WebApps], azure: Emulator, web: Web
) -> None:
    rollout(apps(), BLUE, []).deploy(model("a"), {})
    azure.fail("POST", "slotsswap", "drop-answer")
    rollout(apps(), GREEN, []).deploy(model("b"), {})
    assert web.traffic("ner-web") == {"green": 100}
    assert len([line for line in azure.log if "slotsswap" in line]) == 2


def test_a_web_app_of_somebody_else_keeps_its_settings_and_gets_its_image_back(
    apps: Callable[..., WebApps], web: Web
) -> None:
    web.plan("other", "P1V3")
    settings = {"OWN": "mine", "WEBSITES_PORT": "80"}
    web.site("ner-web", "other", settings, {"linuxFxVersion": "DOCKER|old:1", "alwaysOn": True})
    web.spots["ner-web"].strings = {"db": {"value": "s", "type": "Custom"}}
    with pytest.raises(CloudError, match="the test request failed: wrong"):
        rollout(apps(), replace(BLUE, traffic=(100,)), [], {"": "wrong"}).deploy(model("a"), {})
    production = web.spots["ner-web"]
    assert production.settings == settings
    assert production.config["linuxFxVersion"] == "DOCKER|old:1"
    assert web.spots.keys() == {"ner-web"}
    rollout(apps(), BLUE, []).deploy(model("a"), {})
    production, slot = web.spots["ner-web"], web.spots["ner-web/slots/llmops"]
    assert (production.settings["OWN"], production.settings["WEBSITES_PORT"]) == ("mine", "8080")
    assert production.config["alwaysOn"] is True
    assert production.strings == slot.strings == {"db": {"value": "s", "type": "Custom"}}
    assert (slot.settings, slot.config["linuxFxVersion"]) == (settings, "DOCKER|old:1")
    rollout(apps(), BLUE, []).rollback()
    assert web.spots["ner-web"].settings == settings


def test_without_slots_the_image_is_replaced_and_put_back_on_failure(apps: Callable[..., WebApps], web: Web) -> None:
    service = apps(BASIC)
    assert service.in_place
    blue, green = replace(BLUE, webapp=BASIC), replace(GREEN, webapp=BASIC)
    rollout(service, blue, []).deploy(model("a"), {})
    before = json.dumps([web.spots["ner-web"].config, {**web.spots["ner-web"].settings, "LLMOPS_PREVIOUS": ""}])
    assert web.traffic("ner-web") == {"blue": 100}
    with pytest.raises(CloudError, match="the test request failed: wrong"):
        rollout(service, green, [], {"": "wrong"}).deploy(model("b"), {})
    after = json.dumps([web.spots["ner-web"].config, {**web.spots["ner-web"].settings, "LLMOPS_PREVIOUS": ""}])
    assert json.loads(after) == json.loads(before)
    said: list[str] = []
    rollout(service, green, said).deploy(model("b"), {})
    assert web.traffic("ner-web") == {"green": 100}
    rollout(service, green, said).deploy(model("b"), {})
    assert said[-1].endswith("nothing to do")
    rollout(service, green, []).rollback()
    assert web.traffic("ner-web") == {"blue": 100}
    with pytest.raises(CloudError) as error:
        service.set_traffic("ner-web", {"blue": 90, "green": 10})
    assert str(error.value) == (
        "traffic of web app 'ner-web': a plan of pricing tier B3 has no slots: "
        "all goes to 'blue', or to what was there before it"
    )


def test_a_first_deployment_in_place_that_fails_leaves_an_empty_web_app(apps: Callable[..., WebApps], web: Web) -> None:
    web.sick = {"blue"}
    with pytest.raises(CloudError, match=r"does not answer as deployment 'blue' after \d+s; see its log, and"):
        rollout(apps(BASIC), replace(BLUE, webapp=BASIC, timeout=1.0), []).deploy(model("a"), {})
    assert web.spots["ner-web"].settings == {"LLMOPS_DEPLOYMENT": ""}
    found = apps(BASIC).find("ner-web")
    assert found is not None
    assert (found.traffic, found.deployments) == ({}, {})


def test_what_has_the_traffic_is_not_made_again_beside_itself(apps: Callable[..., WebApps], web: Web) -> None:
    rollout(apps(), BLUE, []).deploy(model("a"), {})
    web.sick = {"blue"}
    with pytest.raises(CloudError, match="has the traffic already, and is not healthy; restart the web app, or name"):
        apps().create_deployment(BLUE, model("a"), TAGS)
    assert web.traffic("ner-web") == {"blue": 100}


def test_a_build_that_fails_shows_the_end_of_its_log(apps: Callable[..., WebApps], web: Web) -> None:
    said: list[str] = []
    service = apps(say=said.append)
    rollout(service, BLUE, []).deploy(model("a"), {})
    web.build, web.build_log = "Failed", "Step 4\nERROR: no package\nhttps://x/?sig=abc&y\n"
    with pytest.raises(CloudError, match=r"^image 'ner-web:[0-9a-f]{12}': it was not built \(Failed\)$"):
        service.create_deployment(GREEN, model("b"), TAGS)
    assert said[-3:] == ["  | Step 4", "  | ERROR: no package", "  | https://x/?sig=***&y"]
    assert web.spots["ner-web"].settings["LLMOPS_DEPLOYMENT"] == "blue"


def test_a_container_that_does_not_start_leaves_its_log(apps: Callable[..., WebApps], web: Web) -> None:
    rollout(apps(), BLUE, []).deploy(model("a"), {})
    web.sick = {"green"}
    said: list[str] = []
    with pytest.raises(CloudError, match=r"^https://ner-web-llmops\.azurewebsites\.net/health does not answer as"):
        rollout(apps(), replace(GREEN, timeout=1.0), said).deploy(model("b"), {})
    assert said[-3:] == ["  | booting", "  | key=***", "ner-web/green: deleted"]
    assert web.traffic("ner-web") == {"blue": 100}


def test_each_deployment_is_addressed_directly(apps: Callable[..., WebApps], web: Web) -> None:
    rollout(apps(), BLUE, []).deploy(model("a"), {})
    apps().create_deployment(GREEN, model("b"), TAGS)
    service = apps()
    assert service.address("ner-web").url == "https://ner-web.azurewebsites.net/score"
    assert service.address("ner-web", "blue").url.endswith("//ner-web.azurewebsites.net/score?x-ms-routing-name=self")
    assert service.address("ner-web", "green").url.startswith("https://ner-web-llmops.azurewebsites.net/score?")
    with pytest.raises(CloudError, match=r"^web app 'ner-web' has no deployment 'red'$"):
        service.address("ner-web", "red")
    with pytest.raises(CloudError, match=r"^traffic of web app 'ner-web': there is no deployment 'red'$"):
        service.set_traffic("ner-web", {"red": 100})
    with pytest.raises(CloudError, match="it has traffic, and is not deleted"):
        service.delete_deployment("ner-web", "blue")
    service.delete_deployment("ner-web", "red")


def refusal(service: WebApps, release: Release) -> str:
    with pytest.raises(ConfigurationError) as error:
        service.check(release)
    return str(error.value)


def test_what_has_to_be_there_is_said_before_anything_is_made(
    apps: Callable[..., WebApps], web: Web, azure: Emulator
) -> None:
    start = "experiment.yaml:9: "
    assert refusal(apps(replace(PLACE, identity="")), BLUE) == (
        f"{start}identity: is needed for the web app to pull its image; "
        "name a user-assigned identity that has the role AcrPull on the registry"
    )
    assert refusal(apps(replace(PLACE, identity="id-x")), BLUE) == (
        f"{start}identity: there is no identity 'id-x'; make it, and give it the role AcrPull on the registry"
    )
    assert refusal(apps(replace(PLACE, registry="regx0")), BLUE) == (
        f"{start}registry: there is no registry 'regx0' in 'rg-images'; make it, or correct its name"
    )
    needing = replace(BLUE, connections=("aoai",))
    assert refusal(apps(), needing) == (
        f"{start}connections: the workspace has no connection 'aoai', which the flow needs; "
        "make it there, or name it otherwise; it has none"
    )
    web.plan("plan-web", "B3")
    assert refusal(apps(), BLUE) == (
        f"{start}sku: plan 'plan-web' is of pricing tier B3, so the new image can't be put beside the old one; "
        "write B3, or name another plan"
    )
    web.plan("plan-web", "S1", linux=False)
    assert refusal(apps(), BLUE) == (
        f"{start}plan: plan 'plan-web' is not of Linux, and takes no such containers; name another one"
    )
    assert not web.spots
    web.plan("plan-web", "S2")
    add_connection(azure.state, "aoai")
    apps().create_endpoint(needing)
    assert web.spots.keys() == {"ner-web"}


def test_a_slot_that_is_in_use_is_not_taken(apps: Callable[..., WebApps], web: Web) -> None:
    rollout(apps(), BLUE, []).deploy(model("a"), {})
    apps().create_deployment(GREEN, model("b"), TAGS)
    apps().set_traffic("ner-web", {"blue": 90, "green": 10})
    with pytest.raises(ConfigurationError) as error:
        apps().check(replace(BLUE, deployment="red"))
    assert str(error.value) == (
        "experiment.yaml:9: deployment: the slot is taken by deployment 'green', which has 10 % of the traffic; "
        "promote it or roll it back first"
    )
    rules = web.spots["ner-web"].config["experiments"]["rampUpRules"]
    rules[:] = [{"name": "beta", "actionHostName": "x", "reroutePercentage": 5}]
    with pytest.raises(
        ConfigurationError, match="sends traffic to slot 'beta', which is not ours; take that rule away"
    ):
        apps().check(replace(BLUE, deployment="red"))


@pytest.mark.parametrize(
    ("how", "kind"), [("unauthorized", AccessError), ("forbidden", AccessError), ("quota", CloudError)]
)
def test_what_azure_refuses_is_one_line(
    apps: Callable[..., WebApps], azure: Emulator, how: str, kind: type[Exception]
) -> None:
    azure.fail("PUT", "serverfarms", how)
    with pytest.raises(kind, match=r"^plan 'plan-web': create: ") as error:
        apps().create_endpoint(BLUE)
    assert "\n" not in str(error.value)


def test_there_is_nothing_where_nothing_is(apps: Callable[..., WebApps], web: Web) -> None:
    del web
    assert apps().find("ner-web") is None
    assert apps().list() == []
    assert apps().log("ner-web", "blue", 5) == ""
    with pytest.raises(CloudError, match=r"^there is no web app 'ner-web' in resource group 'rg-web'$"):
        apps().set_traffic("ner-web", {"blue": 100})
