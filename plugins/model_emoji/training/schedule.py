"""Training by the clock: a learning-rate schedule that fits a time budget, also across interruptions."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass, field


@dataclass
class Clock:
    """Time spent in a run of ``total`` seconds; ``spent`` is what earlier, interrupted runs used."""

    total: float
    spent: float = 0.0
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def until(cls, deadline: str, spent: float = 0.0) -> Clock:
        """A clock that ends today at ``HH:MM`` local time."""
        hour, minute = (int(part) for part in deadline.split(":"))
        now = dt.datetime.now()
        end = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
        return cls(total=spent + max(0.0, (end - now).total_seconds()), spent=spent)

    @property
    def elapsed(self) -> float:
        """Seconds over all runs."""
        return self.spent + time.monotonic() - self.started

    @property
    def fraction(self) -> float:
        """How much of the budget is used, 0..1."""
        return min(1.0, self.elapsed / self.total) if self.total > 0 else 1.0


def learning_rate_factor(step: int, fraction: float, warmup: int = 60, flat: float = 0.5) -> float:
    """Linear warm-up over ``warmup`` steps, flat to ``flat`` of the time, then linear to zero at its end."""
    decay = 1.0 if fraction < flat else (1.0 - fraction) / (1.0 - flat)
    return min(1.0, (step + 1) / warmup) * max(0.0, decay)


def describe_rate(samples: int, elapsed: float, total: float) -> str:
    """Progress for people: samples, samples per second, time left."""
    left = dt.timedelta(seconds=round(max(0.0, total - elapsed)))
    return f"{samples:,} samples, {samples / max(elapsed, 1e-9):.0f}/s, {left} left"
