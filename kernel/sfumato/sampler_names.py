"""What people and other programs call a sampler, which may say the scheduler too ("DPM++ 2M Karras")."""

from __future__ import annotations

from sfumato.errors import UnknownName, nearest_names
from sfumato.registry import Described, Entry, Registry
from sfumato.sampling import SamplerInfo, SchedulerInfo

AUTOMATIC = "automatic"
SEPARATORS = " _-"
LONGEST = 100
"""No spelling is longer: what is gets cut, so that its error comes at once and can be read."""

Pair = tuple[Entry[SamplerInfo], Entry[SchedulerInfo] | None]


def resolve_sampler(
    samplers: Registry[SamplerInfo],
    schedulers: Registry[SchedulerInfo],
    sampler: str,
    scheduler: str | None = None,
) -> Pair:
    """The sampler and the scheduler meant; None for a scheduler left open, or called automatic.

    `sampler` may be a sampler's spelling followed by a scheduler's, as A1111 once joined them, or a class
    name of diffusers that stands for both. A scheduler given on its own wins over one so implied.

    Raises:
        UnknownName: no such sampler or scheduler; the nearest names are offered.
    """
    found, implied = _sampler_and_implied(samplers, schedulers, _cut(sampler))
    given = schedulers.get(_cut(scheduler)) if scheduler else None
    for chosen in (given, implied):
        if chosen and chosen.info.name != AUTOMATIC:
            return found, chosen
    return found, None


def _sampler_and_implied(
    samplers: Registry[SamplerInfo], schedulers: Registry[SchedulerInfo], name: str
) -> Pair:
    if name in samplers:
        found = samplers.get(name)
        twin = schedulers.get(name) if name in schedulers else None
        return found, twin if twin and _has_alias(found.info, name) and _has_alias(twin.info, name) else None
    joined: list[str] = []
    for end in range(len(name) - 1, 0, -1):  # from the right: the longest sampler wins
        front, back = name[:end], name[end + 1 :]
        if name[end] in SEPARATORS and front in samplers:
            if back in schedulers:
                return samplers.get(front), schedulers.get(back)
            labels = nearest_names(back, [entry.info.label for entry in schedulers])
            joined += [f"{samplers.get(front).info.label} {label}" for label in labels]
    raise _unknown(samplers, schedulers, name, joined)


def _unknown(
    samplers: Registry[SamplerInfo], schedulers: Registry[SchedulerInfo], name: str, joined: list[str]
) -> UnknownName:
    known = [*joined, *(spelling for entry in samplers for spelling in (entry.info.name, entry.info.label))]
    if not nearest_names(name, known):
        known += nearest_names(name, [alias for entry in samplers for alias in entry.info.aliases])
    hint = f"'{name}' is a scheduler." if name in schedulers else "'sfumato samplers' lists them all."
    return UnknownName("sampler", name, known, hint=hint)


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _has_alias(info: Described, name: str) -> bool:
    return name.strip().lower() in [alias.lower() for alias in info.aliases]
