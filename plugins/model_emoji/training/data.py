"""Open emoji drawings as 64-pixel pictures: downloads the npm packs, renders them, names them.

Packs: Fluent emoji flat and 3-D (MIT), Noto and Noto v1 (Apache-2.0); names and tags: emojibase (MIT).
"""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import torch
from PIL import Image

log = logging.getLogger(__name__)

SIZE = 64
"""Side of a picture, in pixels."""
RENDER_SIZE = 256
MARGIN = 0.04
MIN_DRAWN_PIXELS = 50

PACKS = {"flat": "fluent-emoji-flat", "noto": "noto", "fluent": "fluent-emoji", "blob": "noto-v1"}
"""Style name -> ``@iconify-json`` pack. The order is the style's number in the stored arrays."""
STYLES = tuple(PACKS)
NPM_PACKAGES = {
    "@iconify-json/fluent-emoji-flat": "1.2.6",
    "@iconify-json/noto": "1.2.9",
    "@iconify-json/fluent-emoji": "1.2.7",
    "@iconify-json/noto-v1": "1.2.5",
    "emojibase-data": "17.0.0",
}

SKIN_TONES = {"1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff"}
DROPPED_GROUPS = {None, 2, 9}  # unnamed, components, flags
TEXT_LIKE = re.compile(r"button\)?$|^sign of|^keycap|o.clock|-thirty|^regional")
GENDERED = re.compile(r"^(man|woman|men|women|deaf|family|couple|kiss|person:|people|health)")


@dataclass(frozen=True)
class Concept:
    """One emoji: its code points, emojibase label, tags and (sub)group numbers."""

    hex: str
    label: str
    tags: tuple[str, ...]
    group: int
    subgroup: int


@dataclass(frozen=True)
class Pictures:
    """All rendered drawings. ``rgba`` is premultiplied uint8 ``[n, 64, 64, 4]``."""

    rgba: torch.Tensor
    concept: torch.Tensor
    style: torch.Tensor
    concepts: tuple[Concept, ...]

    def over(self, rows: torch.Tensor, background: torch.Tensor) -> torch.Tensor:
        """The pictures ``rows`` over ``background`` ``[n, 3]`` in 0..1, as ``[n, 3, 64, 64]`` in -1..1."""
        return composite(self.rgba[rows], background)


def composite(rgba: torch.Tensor, background: torch.Tensor) -> torch.Tensor:
    """Premultiplied uint8 ``[n, h, w, 4]`` over colours ``[n, 3]`` in 0..1 -> ``[n, 3, h, w]`` in -1..1."""
    planes = rgba.permute(0, 3, 1, 2).float() / 255
    image = planes[:, :3] + (1 - planes[:, 3:]) * background[:, :, None, None]
    return image.clamp(0, 1) * 2 - 1


def download(folder: Path) -> Path:
    """Install the npm packs under ``folder`` (once) and return its ``node_modules``."""
    modules = folder / "node_modules"
    if not all((modules / name / "package.json").exists() for name in NPM_PACKAGES):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": NPM_PACKAGES}))
        subprocess.run(["npm", "install", "--no-audit", "--no-fund"], cwd=folder, check=True)
    return modules


def plain_hex(code: str) -> str:
    """Code points in lower case without the emoji presentation selector."""
    return code.lower().replace("-fe0f", "")


def read_concepts(modules: Path) -> dict[str, Concept]:
    """All emoji worth drawing, by code points; text-like and near-duplicate ones are left out."""
    concepts = {}
    for entry in json.loads((modules / "emojibase-data/en/data.json").read_text(encoding="utf-8")):
        code, group = plain_hex(entry["hexcode"]), entry.get("group")
        label = re.sub("[\u201c\u201d]", "", entry["label"].lower().replace("\u2019", "'"))
        if group in DROPPED_GROUPS or SKIN_TONES & set(code.split("-")) or TEXT_LIKE.search(label):
            continue
        if group == 1 and "200d" in code and GENDERED.match(label):
            continue
        tags = tuple(tag.lower() for tag in entry.get("tags", []))
        concepts[code] = Concept(code, label, tags, group, entry["subgroup"])
    return concepts


def read_drawings(modules: Path, pack: str, names: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Pairs (code points, SVG text) of one pack; ``names`` maps icon names to code points."""
    content = json.loads((modules / f"@iconify-json/{pack}/icons.json").read_text(encoding="utf-8"))
    icons = content["icons"]
    for name, code in names.items():
        alias = content.get("aliases", {}).get(name, {})
        icon = icons.get(name) or (icons.get(alias.get("parent")) if len(alias) == 1 else None)
        if icon is None:
            continue
        width = icon.get("width", content.get("width", 16))
        height = icon.get("height", content.get("height", 16))
        box = f"{icon.get('left', 0)} {icon.get('top', 0)} {width} {height}"
        namespaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        yield (
            code,
            f'<svg {namespaces} viewBox="{box}" width="{width}" height="{height}">{icon["body"]}</svg>',
        )


def icon_names(modules: Path, pack: str) -> dict[str, str]:
    """Icon name -> code points. The 3-D and v1 packs lack the table: their flat and v2 twins' serves."""
    twin = {"fluent-emoji": "fluent-emoji-flat", "noto-v1": "noto"}.get(pack, pack)
    table = json.loads((modules / f"@iconify-json/{twin}/chars.json").read_text(encoding="utf-8"))
    return {name: plain_hex(code) for code, name in table.items()}


def render(svg: str) -> np.ndarray | None:
    """Draw one SVG as premultiplied float RGBA ``[64, 64, 4]`` in 0..255, or None for an empty drawing."""
    import resvg_py  # type: ignore[import-not-found,unused-ignore]

    png = resvg_py.svg_to_bytes(svg_string=svg, width=RENDER_SIZE, height=RENDER_SIZE)
    return frame(np.asarray(Image.open(io.BytesIO(bytes(png))).convert("RGBA")))


def frame(rgba: np.ndarray) -> np.ndarray | None:
    """Crop to the drawn area, make it square with a small margin and scale it: one framing for all packs."""
    rows, columns = np.where(rgba[..., 3] > 8)
    if len(rows) < MIN_DRAWN_PIXELS:
        return None
    top, left = rows.min(), columns.min()
    height, width = rows.max() + 1 - top, columns.max() + 1 - left
    side = max(height, width)
    full = side + 2 * (int(side * MARGIN) + 1)
    canvas = np.zeros((full, full, 4), np.float32)
    y, x = (full - height) // 2, (full - width) // 2
    canvas[y : y + height, x : x + width] = rgba[top : top + height, left : left + width]
    canvas[..., :3] *= canvas[..., 3:] / 255
    scaling = Image.Resampling.BOX if full >= 2 * SIZE else Image.Resampling.LANCZOS
    planes = [Image.fromarray(canvas[..., i]).resize((SIZE, SIZE), scaling) for i in range(4)]
    return np.clip(np.stack([np.asarray(plane) for plane in planes], -1), 0, 255).round().astype(np.uint8)


def prepare(folder: Path, workers: int = 2) -> Pictures:
    """Download and render everything into ``folder`` (skipped when it is already there)."""
    if not (folder / "pictures.npz").exists():
        modules = download(folder / "npm")
        concepts = read_concepts(modules)
        number = {code: i for i, code in enumerate(concepts)}
        jobs: dict[tuple[int, int], str] = {}
        for style, pack in enumerate(PACKS.values()):
            for code, svg in read_drawings(modules, pack, icon_names(modules, pack)):
                if code in number:
                    jobs.setdefault((number[code], style), svg)
        with Pool(workers) as pool:
            drawn = pool.map(render, jobs.values(), chunksize=32)
        kept = [(key, picture) for key, picture in zip(jobs, drawn, strict=True) if picture is not None]
        table = np.array([key for key, _ in kept])
        log.info("rendered %d pictures of %d concepts", len(kept), len(concepts))
        text = json.dumps([asdict(concept) for concept in concepts.values()])
        (folder / "concepts.json").write_text(text, encoding="utf-8")
        rgba = np.stack([picture for _, picture in kept])
        np.savez(folder / "pictures.npz", rgba=rgba, concept=table[:, 0], style=table[:, 1])
    return load(folder)


def load(folder: Path) -> Pictures:
    """Read what :func:`prepare` stored."""
    entries = json.loads((folder / "concepts.json").read_text(encoding="utf-8"))
    concepts = tuple(Concept(**{**entry, "tags": tuple(entry["tags"])}) for entry in entries)
    with np.load(folder / "pictures.npz") as stored:
        rgba, concept, style = (torch.from_numpy(stored[name]) for name in ("rgba", "concept", "style"))
    return Pictures(rgba, concept, style, concepts)
