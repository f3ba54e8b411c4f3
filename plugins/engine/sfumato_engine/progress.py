"""Progress of sampling: steps done, rate over the last ones, time left, previews."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from torch import Tensor

from sfumato.events import EventBus, StepCompleted

WINDOW = 8
"""Steps that the rate is taken over: long enough to be calm, short enough to follow a change."""

Preview = Callable[[Tensor], tuple[bytes, ...]]


class Progress:
    """Turns a sampler's steps into `StepCompleted` events.

    Args:
        events: Where they go.
        steps: In a batch.
        batches: In the request.
        preview: Makes the previews of clean estimates [b, c, h, w].
        preview_every: Steps between previews; 0 for none.
        clock: Seconds that only go forward.

    Attributes:
        steps_before: Steps of the batch that earlier passes have taken.
        preview: That of the pass being drawn; a pass with another model may have latents of another kind.
    """

    def __init__(
        self,
        events: EventBus,
        steps: int,
        batches: int,
        *,
        preview: Preview = lambda denoised: (),
        preview_every: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._events = events
        self._steps = steps
        self._batches = batches
        self.preview = preview
        self._preview_every = preview_every
        self._clock = clock
        self.steps_before = 0
        self._batch = 0
        self._times: deque[float] = deque(maxlen=WINDOW + 1)

    def start_batch(self, batch: int) -> None:
        """Batch number `batch`, from 0, starts sampling now; what passed between batches does not count."""
        self._batch = batch
        self._times.clear()
        self._times.append(self._clock())

    def step(self, index: int, x: Tensor, denoised: Tensor) -> None:
        """Step number `index`, from 0, has its clean estimate; fits `SamplingContext.on_step`.

        Samplers that choose their levels may take more steps than were asked for.
        """
        index += self.steps_before
        self._times.append(self._clock())
        elapsed = self._times[-1] - self._times[0]
        rate = (len(self._times) - 1) / elapsed if elapsed > 0 else 0.0
        steps = max(self._steps, index + 1)
        steps_left = (self._batches - self._batch - 1) * self._steps + steps - (index + 1)
        wanted = self._preview_every and (index + 1) % self._preview_every == 0
        self._events.emit(
            StepCompleted(
                step=index + 1,
                steps=steps,
                batch=self._batch,
                batches=self._batches,
                steps_per_second=rate,
                seconds_left=steps_left / rate if rate else None,
                preview=self.preview(denoised) if wanted else (),
            )
        )
