"""One command's change of an endpoint, under way: traffic that is moved with a test at each step, and taken back.

It trusts nothing but what it sees: before each step it looks whether the endpoint is as the last one left it, and its
deployment still of the version that this is about.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from pytest_llmops.deployment.standing import mine_of, same, short, version_of
from pytest_llmops.deployment.takeback import Surroundings, delete_failed, put_back
from pytest_llmops.deployment.traffic import ALL, in_words
from pytest_llmops.durations import format_duration
from pytest_llmops.errors import AccessError, CloudError, LLMOpsError
from pytest_llmops.records.deployment import EndpointState, Traffic


@dataclass(slots=True, kw_only=True)
class Change:
    """How far a command is with an endpoint.

    ``found`` is what it found there, and ``version`` the digest of the flow that its deployment has. ``ours`` is all
    traffic that it has set since, or tried to. ``begun`` is set before it asks for any change, which may have been made
    whatever the answer is. ``made`` tells whether it made the deployment.
    """

    around: Surroundings
    found: EndpointState | None
    version: str
    ours: list[Traffic] = field(default_factory=list)
    begun: bool = False
    made: bool = False

    @property
    def before(self) -> Traffic:
        """Traffic as it was found."""
        return self.found.traffic if self.found else {}

    @contextmanager
    def taken_back(self) -> Iterator[None]:
        """Surround the command: what fails within is taken back.

        Raises:
            AccessError: where something could not be reached, and nothing was changed, as a look at it shows.
            CloudError: for that, too, where something was changed.
        """
        try:
            yield
        except BaseException as error:
            if not self.begun:
                if isinstance(error, CloudError):
                    self._tell_share()
                raise
            with self.around.hold():
                if isinstance(error, AccessError) and self._is_untouched():
                    raise
                self._take_back(error)
            if isinstance(error, LLMOpsError) and not isinstance(error, CloudError):
                raise CloudError(str(error)) from error
            raise

    def move_all(self, moves: Sequence[Traffic]) -> None:
        """Move the traffic step by step, with a test after each; each step but the last is watched for a while."""
        around, release = self.around, self.around.release
        for number, wanted in enumerate(moves):
            self._move(wanted)
            if share := wanted.get(release.deployment, 0):
                self.test(addressed=share < ALL)
            if release.pause and number < len(moves) - 1:
                around.say(f"{release.endpoint}: watching for {format_duration(release.pause)}")
                around.sleep(release.pause)
                self.test(addressed=True)

    def test(self, *, addressed: bool) -> None:
        """Send a test request, to the deployment itself or to where the traffic goes."""
        around, release = self.around, self.around.release
        address = around.service.address(release.endpoint, release.deployment if addressed else "")
        problems = around.smoke(address)
        whom = around.name if addressed else release.endpoint
        if problems:
            raise CloudError(f"{whom}: the test request failed: {'; '.join(problems)}")
        around.say(f"{whom}: answers the test request")

    def look(self) -> EndpointState:
        """Return the endpoint as it is, where the deployment has to be the one that this is about.

        Raises:
            CloudError: where somebody else has changed that.
        """
        found = self.around.look()
        if found is None:
            raise CloudError(f"there is no endpoint '{self.around.release.endpoint}'")
        mine = mine_of(found, self.around.release)
        if mine is None:
            raise CloudError(f"{self.around.name}: it is not there any more")
        if (version := version_of(mine)) != self.version:
            what = f"it is of version {short(version)}, not {short(self.version)}"
            raise CloudError(f"{self.around.name}: somebody else put another version there meanwhile: {what}")
        return found

    def _move(self, wanted: Traffic) -> None:
        around, endpoint = self.around, self.around.release.endpoint
        found, expected = self.look().traffic, self.ours[-1] if self.ours else self.before
        if not same(found, expected):
            was, now = in_words(expected), in_words(found)
            raise CloudError(f"{endpoint}: somebody else moved the traffic meanwhile: it was {was}, now it is {now}")
        self.ours.append(wanted)
        self.begun = True
        around.service.set_traffic(endpoint, wanted)
        seen = self.look().traffic
        if not same(seen, wanted):
            raise CloudError(f"{endpoint}: the traffic was set to {in_words(wanted)}, and is {in_words(seen)}")
        around.say(f"{endpoint}: traffic: {in_words(wanted)}")

    def _is_untouched(self) -> bool:
        """Look whether all is as it was found. What can't be seen may have been changed."""
        try:
            now = self.around.look()
        except LLMOpsError:
            return False
        if now is None or self.found is None:
            return now is self.found
        release = self.around.release
        return same(now.traffic, self.before) and mine_of(now, release) == mine_of(self.found, release)

    def _tell_share(self) -> None:
        """Say what the deployment is left with, because it had it before: perhaps of a command that was cut off."""
        if share := self.before.get(self.around.release.deployment, 0):
            what = f"before this command it had {share} % of the traffic already"
            self.around.say(f"{self.around.name}: {what}; to take that away, too: {self.around.rollback}")

    def _take_back(self, error: BaseException) -> None:
        around, ended = self.around, "FAILED" if isinstance(error, Exception) else "interrupted"
        around.say(f"{around.name}: {ended}: what was changed is taken back")
        put_back(around, self.before, self.ours)
        if isinstance(error, Exception):  # an interrupt leaves no time for more than is needed
            around.tell_log()
        if self.made:
            delete_failed(around, self.version)
        self._tell_share()
