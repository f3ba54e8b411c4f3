"""`sfumato pack`: a model written with its weights in 4 or 8 bits."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sfumato.cli.output import human_size, only_data_on_stdout, print_json, say
from sfumato.errors import BadInput

if TYPE_CHECKING:
    from sfumato.studio import Studio

SECONDS_BETWEEN_LINES = 10.0

Form = Literal["nf4", "fp4", "int8", "fp8_e4m3", "fp8_e5m2", "scaled_fp8"]


def pack(
    studio: Studio,
    model: Annotated[str, typer.Argument(help="A model's name, or the path of one file.")],
    to: Annotated[Form, typer.Option(help="What to pack weights as.")] = "nf4",
    output: Annotated[
        Path | None,
        typer.Option(help="The file to write; by default beside the model, its name ending in the form."),
    ] = None,
    device: Annotated[str, typer.Option(help="Where to pack: cpu, cuda ...")] = "cpu",
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a model, or a part such as T5, with its large weights in 4 or 8 bits, as other programs read it.

    For GGUF see 'sfumato quantize'.
    """
    source = _file(studio, model)
    target = output or _beside(studio, source, to)
    _check_target(source, target, force)
    from sfumato_quant_bnb.saving import write_packed

    with only_data_on_stdout():
        header, opened = studio.library.header(source), studio.library.open_tensors(source)
        count = write_packed(header, opened, target, to, device=device, progress=_Lines())
    before, after = source.stat().st_size, target.stat().st_size
    if as_json:
        print_json({"path": str(target), "packed": count, "size_bytes": after, "source_bytes": before})
        return
    say(f"{target}: {count} weights as {to}, {human_size(after)} instead of {human_size(before)}, verified")


class _Lines:
    """Says every ten seconds how far it is."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, done: str, number: int, of: int) -> None:
        now = time.monotonic()
        if now - self._last >= SECONDS_BETWEEN_LINES:
            self._last = now
            say(f"{done} {number} of {of} tensors")


def _file(studio: Studio, model: str) -> Path:
    path = Path(model).expanduser()
    if not path.exists():
        path = studio.library.find(model).path
    if path.is_file():
        return path
    raise BadInput(
        f"'{model}' is a folder of several files.", hint="Name one file: its transformer or text encoder."
    )


def _beside(studio: Studio, source: Path, to: Form) -> Path:
    """The default target; raises `BadInput` where the source came with a plugin: no place for new files."""
    brought = {Path(str(entry.target)).resolve() for entry in studio.registries.models}
    if source.resolve() in brought:
        raise BadInput(f"'{source.stem}' comes with a plugin.", hint="Say where to write: --output FILE")
    return source.with_name(f"{source.stem}-{to}.safetensors")


def _check_target(source: Path, target: Path, force: bool) -> None:
    if target.suffix.lower() != ".safetensors":
        raise BadInput(f"'{target.name}' is to be a safetensors file.", hint="Let its name end so.")
    if not target.parent.is_dir():
        raise BadInput(f"There is no folder '{target.parent}'.", hint="Make it, or choose another.")
    if target.exists() and source.samefile(target):
        raise BadInput("A model cannot be packed into its own file.", hint="Choose another --output.")
    if target.is_dir() or (target.exists() and not force):
        raise BadInput(f"'{target}' is there already.", hint="Choose another --output, or --force.")
