"""`upgrade`: everything newest, proved; what breaks it held back; locks and images replaced together, or not at all."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from pyrlab.adapters import held_file, lists_files, lock_files
from pyrlab.adapters.docker import engine, tags
from pyrlab.errors import LabError, PyrlabError
from pyrlab.model.changes import Change
from pyrlab.model.lists import Lists
from pyrlab.model.locks.lockset import Locks, differences
from pyrlab.model.settings import Settings
from pyrlab.model.upgrade.bumps import Package
from pyrlab.model.upgrade.compose import DEBS, PYTHON, R
from pyrlab.model.upgrade.held import ECOSYSTEMS, FILE, Held, Holds
from pyrlab.model.upgrade.report import ImageFigures, Report
from pyrlab.model.upgrade.texts import short
from pyrlab.model.upgrade.verdicts import INSTALLS
from pyrlab.model.wish import Wish
from pyrlab.steps import evidence, generations
from pyrlab.steps.candidate import Candidate, texts
from pyrlab.steps.comparison import Comparison, Judged
from pyrlab.steps.images import Plan
from pyrlab.steps.overlays import BuiltImages
from pyrlab.steps.proof import FAILED, Outcome, Proof
from pyrlab.steps.trials import Trials

Say = Callable[[str], None]
# So often the full proof of what a search found may show more that is red.
ROUNDS = 5
# Of a failure's last line, in characters: it is committed, and read.
_LONGEST_WHY = 300
_SECRET = re.compile(r"//[^/@\s]+@")


@dataclass(frozen=True)
class Upgrade:
    """What an upgrade did. ``changes`` are by lock; without any, nothing was newer, or nothing of it is taken.

    ``released`` were held before and are not any more; ``promoted`` tells whether locks and images were replaced.
    A dry run, and one that found nothing newer, has no ``report``, which is kept in the file ``page``.
    """

    changes: Mapping[str, list[Change]]
    held: tuple[Held, ...] = ()
    released: tuple[Held, ...] = ()
    judged: Judged = field(default_factory=Judged)
    trials: int = 0
    promoted: bool = False
    report: Report | None = None
    page: Path | None = None


def upgrade(settings: Settings, wish: Wish, *, dry_run: bool, say: Say) -> Upgrade:
    """Move the locks to the newest versions as far as the labs stay proved, and return what came of it.

    The current locks, images and running labs are not touched before the end. Raises LabError when nothing helps, and
    what locking, fetching and building raise.
    """
    started = time.monotonic()
    engine.find()
    graph = settings.graph
    lists = lists_files.read_lists(settings.project, graph)
    current = lock_files.read_locks(settings)
    current.check(lists, settings, architecture=settings.architecture or engine.find().architecture)
    before = generations.present(settings)
    candidate = Candidate(settings, say)
    newest = candidate.relock(current, wish)
    trials = Trials(Comparison(candidate), current, newest, _asked(lists))
    held = held_file.read_holds(settings)
    if dry_run or not trials.members:
        candidate.forget()
        return Upgrade(differences(current.by_file(graph), newest.by_file(graph)), held.entries)
    _build_current(settings, current, say)
    work = _Work(trials, held, before, until=started + 60 * settings.upgrade.minutes)
    try:
        final, shown = work.run()
    except PyrlabError:
        candidate.remove_tags()
        raise
    # From here on the candidate's images are needed until all is replaced: by the next run, where this one is killed.
    done = work.finish(final, shown, seconds=time.monotonic() - started)
    candidate.remove_tags()
    candidate.forget()
    generations.prune(settings)
    return done


def _asked(lists: Lists) -> frozenset[Package]:
    """Return what the lists name."""
    debs = {Package(DEBS, request.name) for request in lists.all_debs}
    python = {Package(PYTHON, request.name) for requests in lists.python.values() for request in requests}
    return frozenset(debs | python | {Package(R, request.name) for request in lists.r})


def _build_current(settings: Settings, current: Locks, say: Say) -> None:
    """Make sure of the images that the candidate is compared with, and that a rollback brings back."""
    plan = Plan(settings, current)
    old = [name for name in settings.graph.images if not plan.is_current(name)]
    if old:
        say(f"building {', '.join(old)} from the locks as they are, to compare with")
        plan.build(old, say=say)


@dataclass
class _Work:
    """One run: the proof of the newest, the search for what breaks it, and the proof of what is left."""

    trials: Trials
    held: Holds
    before: Mapping[str, str | None]
    until: float
    judged: Judged = field(default_factory=Judged)
    reasons: dict[str, Outcome] = field(default_factory=dict)
    holding: dict[str, frozenset[str]] = field(default_factory=dict)
    count: int = 0
    day: date = field(default_factory=date.today)

    @property
    def settings(self) -> Settings:
        return self.trials.settings

    @property
    def say(self) -> Say:
        return self.trials.candidate.say

    def run(self) -> tuple[Locks, Proof]:
        """Return locks whose images are built and proved in full, and the proof. Raises LabError where none are."""
        red, shown = self._full(self.trials.newest)
        if not red:
            return self.trials.newest, shown
        if INSTALLS not in red:
            self._remember_images()
        search = self.trials.search(red)
        for _ in range(ROUNDS):
            self.reasons |= red
            self.say(f"red: {', '.join(sorted(red))}; looking for what breaks it among {len(self.trials.bumps)} bumps")
            self.trials.run(search, until=self.until)
            outcome = search.outcome
            self.holding, self.count = dict(outcome.held), outcome.trials
            if not outcome.take and not outcome.complete:
                raise self._nothing_helps(red)
            if not outcome.take:
                self.say("nothing of this upgrade is green: all stays as it is")
                return self.trials.current, Proof({}, self.trials.candidate.folder)
            final = self.trials.locks(outcome.take)
            self.say(f"proving all of it, with {', '.join(sorted(outcome.held))} held back")
            red, shown = self._full(final)
            if not red:
                return final, shown
            if INSTALLS in red:
                # What is put over an image says nothing of what can be built.
                self.trials.there.clear()
            search.extend({test: self.trials.suspects(outcome) for test, outcome in red.items()})
        raise self._nothing_helps(red)

    def _full(self, locks: Locks) -> tuple[dict[str, Outcome], Proof]:
        """Build all images of these locks and prove them; return what is red because of the upgrade."""
        reason = self.trials.candidate.build(locks, self.trials.images)
        if reason:
            return {INSTALLS: Outcome(INSTALLS, FAILED, text=reason)}, Proof({}, self.trials.candidate.folder)
        self.say("proving the candidate")
        shown, judged = self.trials.comparison.prove()
        self.judged.add(judged)
        return judged.regressions, shown

    def _remember_images(self) -> None:
        """Remember which images are there that trials are put over."""
        self.trials.there.append(BuiltImages(self.settings, self.trials.current))
        self.trials.there.append(self.trials.candidate.keep_newest(self.trials.newest))

    def _nothing_helps(self, red: Mapping[str, Outcome]) -> LabError:
        evidence = "\n".join(f"{test}: {outcome.last_line}" for test, outcome in sorted(red.items()))
        return LabError(
            f"no part of this upgrade was seen green for {', '.join(sorted(red))}; nothing is changed",
            remedy="upgrade less at once: nox -s upgrade -- --upgrade-package NAME; or raise upgrade.max_trials",
            detail=evidence,
        )

    def finish(self, final: Locks, shown: Proof, *, seconds: float) -> Upgrade:
        """Replace locks and images by the proved ones, and return what is told of it."""
        settings = self.settings
        kept = self._kept()
        moved = final is not self.trials.current
        report = self._report(final, shown, kept, seconds=seconds)
        page = evidence.write(settings, report)
        done = Upgrade(
            changes=differences(self.trials.current.by_file(settings.graph), final.by_file(settings.graph)),
            held=kept.entries,
            released=tuple(one for one in self.held.entries if kept.find(one.ecosystem, one.name) is None),
            judged=replace(self.judged, regressions=self.reasons),
            trials=self.count,
            report=report,
            page=page,
        )
        self._replace(final if moved else None, kept)
        return replace(done, promoted=moved)

    def _report(self, final: Locks, shown: Proof, kept: Holds, *, seconds: float) -> Report:
        settings, current = self.settings, self.trials.current
        changed = evidence.updates(current, final, self.trials.asked)
        repaired, unreachable = evidence.known_vulnerabilities(settings, changed, final.debs.architecture, say=self.say)
        return Report(
            day=self.day,
            suite=settings.suite,
            updates=changed,
            held=evidence.held_back(kept, final),
            advisories=repaired,
            unreachable=unreachable,
            # Where all stays, the candidate's images are those of the last trial: nobody gets them.
            images=self._images() if final is not current else (),
            notebooks=evidence.runs(
                self.trials.comparison.differences(shown), {test: one.output for test, one in shown.outcomes.items()}
            ),
            tolerance=settings.proof.tolerance,
            flaky=tuple(sorted(self.judged.flaky)),
            red_before=tuple(sorted(self.judged.known)),
            trials=self.count,
            seconds=seconds,
        )

    def _images(self) -> tuple[ImageFigures, ...]:
        return evidence.images(self.settings, self.trials.candidate.own, self.trials.comparison.starts())

    def _replace(self, final: Locks | None, kept: Holds) -> None:
        """Replace what is held; and locks and images by the candidate's, those of before being kept."""
        settings, candidate = self.settings, self.trials.candidate
        files: dict[str, str | None] = {FILE: kept.render() if kept.entries else None}
        images: dict[str, str] = {}
        if final:
            files |= texts(settings, final)
            found = {settings.tag(name): tags.image_of(candidate.own.tag(name)) for name in settings.graph.images}
            images = {tag: image for tag, image in found.items() if image is not None}
            if len(images) < len(found):
                raise LabError("the candidate's images are gone; nothing is changed", remedy="nox -s upgrade")
            generations.keep(settings, summary=f"before the upgrade of {self.day}")
        generations.apply(settings, generations.Change(files, self.before, images))

    def _kept(self) -> Holds:
        """Return held.toml as it is to be: what was tried and passed is dropped, what was not tried stays."""
        found = {(held.ecosystem, held.name): held for held in self._held()}
        kept = self._without_the_past(self.held)
        for kind, name in (member.package for member in self.trials.members):
            if (ECOSYSTEMS[kind], name) not in found:
                kept = kept.drop(ECOSYSTEMS[kind], name)
        for held in found.values():
            earlier = self.held.find(held.ecosystem, held.name)
            kept = kept.add(replace(held, since=earlier.since) if earlier and earlier.since else held)
        return kept

    def _without_the_past(self, holds: Holds) -> Holds:
        """Return the holds without those whose package is gone, or was moved beyond them by its user."""
        now = {
            (one.held.ecosystem, one.held.name): one.version for one in evidence.held_back(holds, self.trials.current)
        }
        for held in holds.entries:
            version = now[held.ecosystem, held.name]
            if not version or not evidence.is_older(held.ecosystem, version, held.below):
                holds = holds.drop(held.ecosystem, held.name)
        return holds

    def _held(self) -> list[Held]:
        """Return what is held back, each package with why, and since when."""
        found = []
        for bump in self.trials.bumps:
            tests = self.holding.get(bump.name, frozenset())
            if bump.name not in self.holding:
                continue
            seen = self.trials.reason(bump.name, tests, self.holding) or self.reasons.get(min(tests, default=""))
            test = seen.test if seen else ""
            why = short(_SECRET.sub("//", seen.last_line), _LONGEST_WHY) if seen else "it stands on what is held back"
            found += [
                Held(ecosystem, member.package.name, member.new, why, test, self.day)
                for member in bump.members
                for ecosystem in [ECOSYSTEMS[member.package.ecosystem]]
                if member.old and member.new and evidence.is_older(ecosystem, member.old, member.new)
            ]
        return found
