"""`sfumato grid`, `sfumato matrix` and `sfumato batch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from sfumato.studio import Studio
from sfumato_grids.running import carried_out, grid_request

Prompt = Annotated[str | None, typer.Argument(help="What to draw.")]
Source = Annotated[
    Path | None,
    typer.Option("--from", help="A request, or a whole grid, in JSON.", metavar="FILE", show_default=False),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="A request field, such as steps=20, hires.scale=1.5 or 'CFG Scale=7'.",
        metavar="FIELD=VALUE",
    ),
]
AxisText = Annotated[
    str | None,
    typer.Option(
        help="Field and values, such as 'steps: 10, 20' or 'Prompt S/R: cat, dog'; ranges as in A1111.",
        metavar="'FIELD: VALUES'",
    ),
]
Seeds = Annotated[
    Literal["same", "next", "random"],
    typer.Option(help="Seeds: the same for all, the next for each, or a random one for each."),
]
Margin = Annotated[int, typer.Option(min=0, max=500, help="Pixels between the pictures of a sheet.")]
NoLegend = Annotated[bool, typer.Option("--no-legend", help="Draw sheets without labels.")]
NoSheets = Annotated[bool, typer.Option("--no-sheets", help="Keep the single pictures only.")]
Out = Annotated[
    Path | None,
    typer.Option(help="Where to save pictures; by default, general.output_folder.", metavar="DIR"),
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Draw all anew, also what an earlier run has left there.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON object for every picture.")]


def grid(
    studio: Studio,
    prompt: Prompt = None,
    source: Source = None,
    sets: Sets = None,
    x: AxisText = None,
    y: AxisText = None,
    z: AxisText = None,
    vary_seeds: Annotated[
        str, typer.Option(help="Axes along which the seed counts up.", metavar="x|y|z|xy...")
    ] = "",
    seeds: Seeds = "same",
    no_legend: NoLegend = False,
    no_sheets: NoSheets = False,
    margin: Margin = 0,
    out: Out = None,
    fresh: Fresh = False,
    as_json: AsJson = False,
) -> None:
    """Draw a picture for every combination of values, and labelled sheets of them.

    A grid that was cut short goes on where it was when the same command is given again.
    """
    from sfumato_grids.running import EXAMPLE, read_axes

    request = grid_request(
        prompt,
        source,
        sets or [],
        axes=read_axes({"x": x, "y": y, "z": z}, vary_seeds),
        hint=f"As in {EXAMPLE}",
        seeds=seeds,
        legend=not no_legend,
        sheets=False if no_sheets else None,
        margin=margin,
        resume=not fresh,
    )
    carried_out(studio, request, out, as_json=as_json)


def matrix(
    studio: Studio,
    prompt: Prompt = None,
    source: Source = None,
    sets: Sets = None,
    negative: Annotated[
        bool, typer.Option("--negative", help="Combine the parts of the negative prompt instead.")
    ] = False,
    at_start: Annotated[
        bool, typer.Option("--at-start", help="Put the parts before the one that always stays.")
    ] = False,
    separator: Annotated[
        Literal["comma", "space"], typer.Option(help="What stands between the parts.")
    ] = "comma",
    seeds: Seeds = "same",
    no_legend: NoLegend = False,
    no_sheets: NoSheets = False,
    margin: Margin = 0,
    out: Out = None,
    fresh: Fresh = False,
    as_json: AsJson = False,
) -> None:
    """Draw every combination of a prompt's parts: 'a cat|in a hat|on a mat' makes four pictures."""
    of = "negative_prompt" if negative else "prompt"
    request = grid_request(
        prompt,
        source,
        sets or [],
        matrix={"of": of, "at_start": at_start, "separator": separator},
        seeds=seeds,
        legend=not no_legend,
        sheets=False if no_sheets else None,
        margin=margin,
        resume=not fresh,
    )
    carried_out(studio, request, out, as_json=as_json)


def batch(
    studio: Studio,
    prompts_or_folder: Annotated[
        Path, typer.Argument(help="A file of prompts (a prompt a line, or .json), or a folder of pictures.")
    ],
    prompt: Annotated[str | None, typer.Option(help="What all pictures have in their prompts.")] = None,
    source: Source = None,
    sets: Sets = None,
    position: Annotated[
        Literal["start", "end"], typer.Option(help="Where a line's prompt goes beside --prompt.")
    ] = "start",
    masks: Annotated[
        Path | None, typer.Option(help="A folder of masks named as the pictures are.", metavar="DIR")
    ] = None,
    scale: Annotated[
        float | None, typer.Option(help="Factor of each picture's own size.", show_default=False)
    ] = None,
    take: Annotated[
        list[str] | None,
        typer.Option(
            help="Take this from each picture's infotext: prompt, negative_prompt, seed, cfg_scale, sampler, "
            "steps or model.",
            metavar="FIELD",
        ),
    ] = None,
    texts: Annotated[
        Path | None,
        typer.Option(help="Take it from pictures of the same names in this folder.", metavar="DIR"),
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Look into the folder's folders too.")
    ] = False,
    seeds: Seeds = "same",
    sheet: Annotated[bool, typer.Option("--sheet", help="Draw all pictures on a sheet, too.")] = False,
    out: Out = None,
    fresh: Fresh = False,
    as_json: AsJson = False,
) -> None:
    """Draw each prompt of a file, or each picture of a folder anew; the results are named as these are."""
    from sfumato_grids.running import folder_parts, refuse_options_of_folders

    path = prompts_or_folder.expanduser()
    if path.is_dir():
        parts = folder_parts(path, masks, recursive=recursive, scale=scale, take=take or [], texts=texts)
    else:
        refuse_options_of_folders(masks=masks, scale=scale, take=take, texts=texts, recursive=recursive)
        parts = {"prompts": {"file": path, "position": position}}
    request = grid_request(
        prompt,
        source,
        sets or [],
        **parts,
        seeds=seeds,
        sheets=True if sheet else None,
        resume=not fresh,
    )
    carried_out(studio, request, out, as_json=as_json)
