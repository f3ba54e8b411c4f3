"""`sfumato quantize`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sfumato.studio import Studio

if TYPE_CHECKING:
    from sfumato_quant_gguf.writing.quantising import Quantising

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def quantize(
    studio: Studio,
    model: Annotated[str, typer.Argument(help="A model's name, or a file or folder with weights.")],
    to: Annotated[
        str, typer.Option("--to", help="The mix of types: q8_0, q6_k, q5_k_m, q4_k_m, ... or f16.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file; by default beside the model.")
    ] = None,
    part: Annotated[
        str,
        typer.Option(
            help="What of it: diffusion_model, t5_encoder, clip_text, clip_g_text, open_clip_text, "
            "autoencoder, or all of a whole checkpoint."
        ),
    ] = "diffusion_model",
    rule: Annotated[
        list[str] | None,
        typer.Option(help="A type for tensors by name: 'img_in.*=bf16'. The first that fits counts."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be written.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a model, or a part of one, as GGUF with quantised weights."""
    from sfumato_quant_gguf.writing.quantising import prepare

    work = prepare(studio.library, model, to, part=part, rules=rule or [], output=output)
    if dry_run:
        _show_plan(work, as_json)
        return
    _carry_out(work, force=force, as_json=as_json)


def _carry_out(work: Quantising, *, force: bool, as_json: bool) -> None:
    """Ctrl-C stops between tiles, and keeps what is done."""
    from sfumato.cli.generation import cancel_on_interrupt
    from sfumato.cli.output import print_facts, print_json, print_table, say
    from sfumato.errors import Cancelled
    from sfumato.events import CancelToken
    from sfumato_quant_gguf.writing.progress import numbers_display
    from sfumato_quant_gguf.writing.reporting import facts, summary, worst

    for note in work.notes:
        say(f"Warning: {note}")
    cancel = CancelToken()
    with cancel_on_interrupt(cancel, say), numbers_display(work.numbers) as progress:
        try:
            written = work.write(force=force, cancel=cancel, on_progress=progress, tell=say)
        except Cancelled as stopped:
            raise Cancelled(
                "Cancelled.", hint=f"The same command goes on with '{work.task.part.name}'."
            ) from stopped
    if as_json:
        print_json(summary(work, written))
        return
    print_facts(facts(work, written))
    print_table(("largest errors", "type", "relative", "rmse"), worst(written))


def _show_plan(work: Quantising, as_json: bool) -> None:
    from sfumato.cli.output import print_facts, print_json, print_table, say
    from sfumato_quant_gguf.writing.reporting import plan_rows, plan_summary

    for note in work.notes:
        say(f"Warning: {note}")
    if as_json:
        print_json(plan_summary(work))
        return
    rows: list[tuple[str, ...]] = plan_rows(work)
    print_table(("tensor", "shape", "from", "to", "note"), rows)
    shown: dict[str, Any] = plan_summary(work)
    print_facts([("output", str(shown["output"])), ("size", shown["size"])])
