"""Rate, time left and previews."""

from __future__ import annotations

import io
from collections.abc import Iterator

import torch
from PIL import Image

from sfumato.events import EventBus, StepCompleted
from sfumato.models import LatentFormat
from sfumato_engine.preview import previews, project
from sfumato_engine.progress import WINDOW, Progress

X = torch.zeros(1, 3, 2, 2)


def steps_at(
    times: list[float], *, steps: int, batches: int = 1, preview_every: int = 0
) -> list[StepCompleted]:
    """The events of one batch whose start and steps happen at the given seconds."""
    clock: Iterator[float] = iter(times)
    seen: list[StepCompleted] = []
    bus = EventBus()
    bus.subscribe(seen.append)  # type: ignore[arg-type]
    progress = Progress(
        bus,
        steps,
        batches,
        preview=lambda x: (b"png",),
        preview_every=preview_every,
        clock=lambda: next(clock),
    )
    progress.start_batch(0)
    for index in range(len(times) - 1):
        progress.step(index, X, X)
    return seen


def test_the_first_step_already_tells_rate_and_time_left() -> None:
    (event,) = steps_at([10.0, 12.0], steps=4, batches=2)
    assert (event.step, event.steps, event.batch, event.batches) == (1, 4, 0, 2)
    assert event.steps_per_second == 0.5
    assert event.seconds_left == 14.0


def test_the_rate_follows_the_last_steps() -> None:
    slow = [float(second) for second in range(WINDOW + 1)]
    fast = [slow[-1] + 0.1 * step for step in range(1, WINDOW + 1)]
    assert round(steps_at(slow + fast, steps=100)[-1].steps_per_second) == 10


def test_the_last_step_has_no_time_left() -> None:
    assert steps_at([0.0, 1.0, 2.0], steps=2)[-1].seconds_left == 0


def test_a_clock_that_stands_still_gives_no_estimate() -> None:
    assert steps_at([1.0, 1.0], steps=2)[0].seconds_left is None


def test_previews_come_every_so_many_steps() -> None:
    events = steps_at([0.0, 1.0, 2.0, 3.0, 4.0], steps=4, preview_every=2)
    assert [bool(event.preview) for event in events] == [False, True, False, True]


FORMAT = LatentFormat(channels=2, rgb_factors=((1.0, 0.0, 0.5), (0.0, -1.0, 0.5)), rgb_bias=(0.0, 0.0, -1.0))


def test_a_preview_projects_each_latent_position_to_a_colour() -> None:
    latents = torch.tensor([1.0, 1.0]).reshape(1, 2, 1, 1).expand(1, 2, 3, 5)
    colours = project(latents, FORMAT)
    assert colours.shape == (1, 3, 5, 3)
    assert colours[0, 0, 0].tolist() == [255, 0, 128]


def test_previews_are_small_pngs_one_a_picture() -> None:
    files = previews(torch.zeros(2, 2, 3, 5), FORMAT)
    assert [Image.open(io.BytesIO(file)).size for file in files] == [(5, 3), (5, 3)]


def test_a_family_without_projection_has_no_previews() -> None:
    assert previews(torch.zeros(1, 2, 3, 5), LatentFormat(channels=2)) == ()


def test_a_sampler_that_takes_more_steps_than_asked_for_never_passes_the_end() -> None:
    events = steps_at([0.0, 1.0, 2.0, 3.0], steps=2, batches=2)
    assert [(event.step, event.steps) for event in events] == [(1, 2), (2, 2), (3, 3)]
    assert events[-1].seconds_left == 2.0
