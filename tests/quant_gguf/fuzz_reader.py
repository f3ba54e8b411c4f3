"""Mutated headers for the reader of GGUF files: each must end in a header or a `CheckpointError`.

Run as a script, ``python -m tests.quant_gguf.fuzz_reader 1000000 [FIRST]``, for as many cases as one likes;
a case is known by its number, and the same everywhere.
"""

from __future__ import annotations

import random
import struct
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from sfumato.errors import CheckpointError
from sfumato_quant_gguf.carried_tokenizer import carries_tokenizer, tokenizer_json
from sfumato_quant_gguf.file_header import tensors_of, texts_of
from sfumato_quant_gguf.header import parse_header
from sfumato_quant_gguf.t5_names import as_transformers

SECONDS = 5.0
"""Of one case, at most; the slowest real ones take a hundredth of that."""
PEAK_BYTES = 2**20
PEAK_PER_BYTE = 80
"""What a case may take: so much, and so much for each byte of the file."""

NUMBERS = (
    0,
    1,
    2,
    7,
    8,
    9,
    31,
    255,
    256,
    65_535,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**40,
    2**63 - 1,
    2**63,
    2**64 - 1,
)
"""Those that programs go wrong with."""


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def entry(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def listed(kind: int, values: Sequence[bytes]) -> bytes:
    return struct.pack("<IQ", kind, len(values)) + b"".join(values)


def tensor(name: str, shape: Sequence[int], kind: int, offset: int) -> bytes:
    """Its description; the shape is in the file's order, fastest first."""
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def whole_file(entries: Sequence[bytes], tensors: Sequence[bytes], data: int, version: int = 3) -> bytes:
    """A file of these entries and tensors, with so many bytes of data behind an alignment of 32."""
    counts = struct.pack("<4sIQQ", b"GGUF", version, len(tensors), len(entries))
    header = counts + b"".join(entries) + b"".join(tensors)
    return header + bytes(-len(header) % 32 + data)


@lru_cache
def originals() -> tuple[bytes, ...]:
    """Sound files to begin with: an image model, a text encoder with its tokenizer, every kind of value."""
    return _image_model(), _text_encoder(), _every_value()


def _image_model() -> bytes:
    entries = [
        entry("general.architecture", 8, text("flux")),
        entry("general.alignment", 4, struct.pack("<I", 32)),
        entry("comfy.gguf.orig_shape.b.weight", 9, listed(5, [struct.pack("<i", n) for n in (8, 4, 4, 4)])),
    ]
    tensors = [
        tensor("a.weight", (64, 4), 8, 0),
        tensor("a.bias", (4,), 0, 288),
        tensor("b.weight", (256, 2), 12, 320),
        tensor("pos_embed", (8, 2), 30, 608),
    ]
    return whole_file(entries, tensors, 640)


def _text_encoder() -> bytes:
    pieces = ["<pad>", "</s>", "<unk>", "▁", "▁a", "b", "[PAD1]"]
    units = [0] * 256
    charsmap = struct.pack("<I256I", 1024, *units) + b"a\0b\0"
    entries = [
        entry("general.architecture", 8, text("t5encoder")),
        entry("tokenizer.ggml.model", 8, text("t5")),
        entry("tokenizer.ggml.tokens", 9, listed(8, [text(piece) for piece in pieces])),
        entry("tokenizer.ggml.scores", 9, listed(6, [struct.pack("<f", -number) for number in range(7)])),
        entry(
            "tokenizer.ggml.token_type", 9, listed(5, [struct.pack("<i", n) for n in (3, 3, 2, 1, 1, 1, 5)])
        ),
        entry("tokenizer.ggml.eos_token_id", 4, struct.pack("<I", 1)),
        entry("tokenizer.ggml.add_space_prefix", 7, b"\1"),
        entry("tokenizer.ggml.precompiled_charsmap", 9, listed(0, [bytes([byte]) for byte in charsmap])),
    ]
    names = ("token_embd", "enc.blk.0.attn_q", "enc.blk.0.ffn_up", "enc.output_norm", "dec.blk.0.attn_q")
    tensors = [tensor(f"{name}.weight", (32, 7), 1, 448 * number) for number, name in enumerate(names)]
    return whole_file(entries, tensors, 448 * 5)


def _every_value() -> bytes:
    sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
    entries = [entry(f"value.{kind}", kind, bytes(size)) for kind, size in sizes.items()]
    entries += [entry(f"list.{kind}", 9, listed(kind, [bytes(size)] * 3)) for kind, size in sizes.items()]
    nested = listed(9, [listed(8, [text("a"), text("b")]), listed(9, [listed(4, [bytes(4)] * 2)])])
    entries.append(entry("nested", 9, nested))
    return whole_file(
        entries, [tensor("scalar", (), 0, 0), tensor("five", (1, 2, 1, 2, 1), 24, 32)], 64, version=2
    )


def mutated(number: int) -> bytes:
    """The file of the case of that number."""
    chance = random.Random(number)
    data = bytearray(chance.choice(originals()))
    for _ in range(chance.choice((1, 1, 1, 2, 3, 5))):
        chance.choice(_MUTATIONS)(data, chance)
    return bytes(data)


def _flip(data: bytearray, chance: random.Random) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _overwrite(data: bytearray, chance: random.Random) -> None:
    form = chance.choice("BHIQ")
    size = struct.calcsize(form)
    if len(data) >= size:
        number = chance.choice(NUMBERS) & (256**size - 1)
        struct.pack_into(f"<{form}", data, chance.randrange(len(data) - size + 1), number)


def _cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data) + 1) :]


def _remove(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data) + 1)
    del data[start : start + chance.randrange(1, 40)]


def _repeat(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data) + 1)
    piece = data[start : start + chance.randrange(1, 80)]
    place = chance.randrange(len(data) + 1)
    data[place:place] = piece


def _splice(data: bytearray, chance: random.Random) -> None:
    other = chance.choice(originals())
    data[chance.randrange(len(data) + 1) :] = other[chance.randrange(len(other)) :]


_MUTATIONS: Sequence[Callable[[bytearray, random.Random], None]] = (
    _flip,
    _flip,
    _overwrite,
    _overwrite,
    _overwrite,
    _cut,
    _remove,
    _repeat,
    _splice,
)


def read_all(data: bytes) -> str:
    """Read a file's header and all that it carries; gives how that ended."""
    path = Path("fuzzed.gguf")
    try:
        header = parse_header(data, path)
        as_transformers(tensors_of(header, data, path))
        texts_of(header.metadata)
        if carries_tokenizer(header.metadata):
            tokenizer_json(header.metadata, data, path)
    except CheckpointError as error:
        if not (error.what and error.why and error.hint):
            raise AssertionError(f"An error without words: {error!r}") from error
        return "refused"
    return "read"


def check(number: int) -> str:
    """Run one case under watch of `tracemalloc`, which has to be on; gives how it ended.

    Raises `AssertionError`, or whatever the reader raises that it should not.
    """
    data = mutated(number)
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    began = time.process_time()
    ending = read_all(data)
    seconds = time.process_time() - began
    peak = tracemalloc.get_traced_memory()[1] - before
    if seconds > SECONDS:
        raise AssertionError(f"case {number} took {seconds:.1f} s")
    if peak > PEAK_BYTES + PEAK_PER_BYTE * len(data):
        raise AssertionError(f"case {number} of {len(data):,} bytes took {peak:,} bytes of memory")
    return ending


def run(first: int, count: int) -> Counter[str]:
    """How many of these cases were read and how many refused."""
    endings: Counter[str] = Counter()
    tracemalloc.start()
    try:
        for number in range(first, first + count):
            try:
                endings[check(number)] += 1
            except BaseException as error:
                error.add_note(f"in case {number}")
                raise
    finally:
        tracemalloc.stop()
    return endings


def main(arguments: Sequence[str]) -> None:
    count, first = int(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 0
    began, total, step = time.perf_counter(), Counter[str](), 50_000
    for start in range(first, first + count, step):
        total += run(start, min(step, first + count - start))
        told = f"{total.total():,} cases in {time.perf_counter() - began:.0f} s: {dict(total)}"
        sys.stdout.write(told + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
