"""What may be done to replicas: one act at a time on a service, each to its end.

Each act is a task of its own: who asked for it may go away, it does not stop half-way.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Set
from functools import partial

from healthagent.core.action import Outcome, Plan, Step
from healthagent.core.report import Report
from healthagent.core.rotation import Drain
from healthagent.core.target import Target
from healthagent.core.transition import Transition
from healthagent.errors import ActionError
from healthagent.supervisor import plan as planning
from healthagent.supervisor.act import INTERRUPTED, Act, Ended
from healthagent.supervisor.passage import Former, Passage
from healthagent.supervisor.ports import Recorder, Router, Runtime, Traffic
from healthagent.supervisor.recovery import cut_short, restarted
from healthagent.supervisor.rolling import Rolling
from healthagent.supervisor.rotation import Drains
from healthagent.supervisor.surge import Surge
from healthagent.supervisor.watched import FOUND_WITHIN, Watched, how

_log = logging.getLogger(__name__)

Work = Callable[[Act], Awaitable[str]]
"""What an act does; it returns how it ended."""


class ReplicaOperations:
    """Fulfils :class:`~healthagent.core.ports.Operations`, and reads reports as a surface does.

    ``patience`` is how many seconds at most requests in flight are waited for.
    """

    def __init__(
        self,
        runtime: Runtime,
        router: Router,
        traffic: Traffic,
        drains: Drains,
        recorder: Recorder,
        patience: float = 30.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._runtime = runtime
        self._recorder = recorder
        self._clock = clock
        self._watched = Watched()
        self._passage = Passage(router, traffic, drains, self._watched, patience, clock)
        self._surge = Surge(runtime, self._passage)
        self._rolling = Rolling(runtime, self._passage, self._surge)
        self._acts: dict[str, Act] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def publish(self, report: Report, changes: tuple[Transition, ...]) -> None:
        self._watched.publish(report, changes)

    def busy(self) -> Set[str]:
        """The services at which something is being done."""
        return self._acts.keys()

    async def aclose(self) -> None:
        """End all acts where they are; each takes back what it drained."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def drain(self, target: Target, by: str, why: str) -> AsyncIterator[Step]:
        async def work(act: Act) -> str:
            service, report = self._watched.find(target)
            _refuse(planning.spared(service, target))
            drain = Drain(by, why, self._clock(), lasting=True)
            self._passage.drains.add(target.id, drain)
            act.say("it gets no new requests", outcome=Outcome.BEGUN)
            left = await self._passage.out(act, report)
            if left.quiet:
                return f"drained: {left}"
            raise Ended(Outcome.FAILED, f"{left}; it stays out of rotation until it is undrained")

        return self._asked("drain", target.service, target.name, by, work)

    def undrain(self, target: Target, by: str) -> AsyncIterator[Step]:
        async def work(act: Act) -> str:
            _, report = self._watched.find(target)
            drains = self._passage.drains
            drain = drains[target.id]
            if drain is None:
                return "it was not drained"
            drains.remove(target.id)
            act.say(f"no longer {drain}", outcome=Outcome.BEGUN)
            if not report.fit:
                return f"it serves again once it is ready; now it is {how(report)}"
            return await self._passage.again(target.id)

        return self._begin("undrain", target.service, target.name, by, work)

    def restart(
        self, target: Target, by: str, why: str, unless: Callable[[], str] = lambda: ""
    ) -> AsyncIterator[Step]:
        async def work(act: Act) -> str:
            service, report = self._watched.find(target)
            _refuse("" if target.is_container else f"{target.name} is no container")
            _refuse(planning.spared(service, target))
            await self._runtime.inspect(target.id)  # nobody is drained for an Engine that is gone
            act.say(f"to be restarted: {why}" if why else "to be restarted", outcome=Outcome.BEGUN)
            with self._passage.kept_out(act, target.id):
                await self._passage.out(act, report)
                await act.preserve(target)
                _refuse(unless())
                service, report = self._watched.find(target)
                _refuse(planning.spared(service, target))  # another may have failed meanwhile
                await restarted(act, self._runtime, target)
                await self._passage.back(act, target.id, Former.of(report))
            return await self._passage.again(target.id)

        return self._asked("restart", target.service, target.name, by, work)

    def roll(self, service: str, by: str, plan: Plan) -> AsyncIterator[Step]:
        async def work(act: Act) -> str:
            return await self._rolling(act, service, plan)

        return self._asked(plan.verb, service, "", by, work)

    def take_up(self, earlier: Iterable[Step]) -> None:
        """End what an earlier life of the agent cut short, by its steps: bring back what it had
        stopped, remove what it had added. Such an act goes by the id and the name that it began
        under."""
        for cut in cut_short(earlier):
            step = cut.last
            hands = self._runtime, self._passage, self._surge
            work = partial(cut.recovered, *hands, self._clock())
            self._begin(step.verb, step.service, step.target, step.by, work, step.act)

    def _asked(
        self, verb: str, service: str, target: str, by: str, work: Work
    ) -> AsyncIterator[Step]:
        """Start an act that rests on who serves, once that is known: a replica that was not judged
        yet would count as one that does not."""

        async def begun(act: Act) -> str:
            if not self._watched.settled:
                act.say("waiting: the agent has just started and has not judged every replica yet")
            if not await self._watched.settles(FOUND_WITHIN):
                _refuse(
                    f"not every replica was judged within {FOUND_WITHIN:g} s of waiting, so who "
                    "serves is not known; see healthagent status, and ask again"
                )
            return await work(act)

        return self._begin(verb, service, target, by, begun)

    def _begin(
        self, verb: str, service: str, target: str, by: str, work: Work, id_: str = ""
    ) -> AsyncIterator[Step]:
        """Start an act, whether or not anybody follows it. ``id_`` is its id, else a new one."""
        id_ = id_ or secrets.token_hex(4)
        act = Act(id_, verb, by, service, target, self._recorder, self._clock)
        other = self._acts.get(service)
        if other is None:
            self._acts[service] = act
            task = asyncio.get_running_loop().create_task(self._do(act, work))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            what = f"{other.verb} of {other.target or service}, act {other.id}"
            act.say(
                f"{other.by} is at {service} already ({what}); ask again when that is over",
                outcome=Outcome.REFUSED,
            )
        return act.follow()

    async def _do(self, act: Act, work: Work) -> None:
        target, evidence = None, {}
        try:
            text, outcome = await work(act), Outcome.DONE
        except Ended as end:
            text, outcome, target = end.text, end.outcome, end.target or None
        except ActionError as error:
            text, outcome = str(error), Outcome.FAILED
        except asyncio.CancelledError:
            text, outcome = "the agent stops, and this with it; ask again", Outcome.FAILED
            evidence = {INTERRUPTED: True}
        except Exception as error:
            _log.exception("%s of %s failed", act.verb, act.service)
            text = f"healthagent's own code failed: {error!r}; please report it"
            outcome = Outcome.FAILED
        del self._acts[act.service]
        act.say(text, target, outcome, evidence)


def _refuse(why: str) -> None:
    if why:
        raise Ended(Outcome.REFUSED, why)
