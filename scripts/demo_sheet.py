"""Eight pictures by the embedded model on one sheet: what `make demo` shows."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sfumato import SfumatoError, Studio
from sfumato.events import Event, StepCompleted
from sfumato.records import ImageRecord

PROMPTS = (
    "a red apple",
    "a pizza",
    "a cat face",
    "a rocket",
    "a rainbow",
    "a sunflower",
    "a penguin",
    "a snowman",
)
COLUMNS = 4
TILE, MARGIN, CAPTION = 192, 16, 28


def draw_all(studio: Studio, folder: Path, seed: int) -> tuple[list[ImageRecord], float]:
    """One picture a prompt, with a progress bar; also the sampling rate in steps per second."""
    records: list[ImageRecord] = []
    steps, sampling_seconds = 0, 0.0
    columns = (TextColumn("{task.description:16}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        bar = progress.add_task("Loading", total=len(PROMPTS))
        for number, prompt in enumerate(PROMPTS):
            progress.update(bar, description=prompt, completed=number)

            def advance(event: Event, number: int = number) -> None:
                if isinstance(event, StepCompleted):
                    progress.update(bar, completed=number + event.step / event.steps)

            result = studio.generate(prompt, seed=seed, output_folder=folder, on_event=advance)
            records.append(result.images[0])
            steps += result.images[0].request.steps or 0
            sampling_seconds += result.sampling_seconds
        progress.update(bar, description="Done", completed=len(PROMPTS))
    return records, steps / sampling_seconds if sampling_seconds else 0.0


def compose(records: list[ImageRecord]) -> Image.Image:
    """The pictures in a grid, each above its prompt."""
    rows = -(-len(records) // COLUMNS)
    cell = (TILE + MARGIN, TILE + CAPTION + MARGIN)
    sheet = Image.new("RGB", (COLUMNS * cell[0] + MARGIN, rows * cell[1] + MARGIN), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=15)
    for number, record in enumerate(records):
        x, y = MARGIN + number % COLUMNS * cell[0], MARGIN + number // COLUMNS * cell[1]
        picture = Image.open(record.path).convert("RGB")
        sheet.paste(picture.resize((TILE, TILE), Image.Resampling.BICUBIC), (x, y))
        text = (x + TILE / 2, y + TILE + CAPTION / 2)
        draw.text(text, record.request.prompt, fill="#333333", font=font, anchor="mm")
    return sheet


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("outputs"), help="folder for sheet and pictures")
    parser.add_argument("--seed", type=int, default=0, help="starting noise of every picture")
    options = parser.parse_args()

    console = Console()
    start = time.perf_counter()
    try:
        records, rate = draw_all(Studio(), options.out / "demo", options.seed)
    except SfumatoError as error:
        console.print(str(error), style="red")
        return error.exit_code
    sheet = options.out / "sheet.png"
    compose(records).save(sheet)
    seconds = time.perf_counter() - start
    console.print(
        f"{len(records)} pictures in {seconds:.1f} s, loading included, at {rate:.1f} it/s: {sheet}",
        style="bold green",
        highlight=False,
    )
    program = os.path.relpath(Path(sys.executable).with_name("sfumato"))
    console.print(f'Next: {program} generate "a red apple"', highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
