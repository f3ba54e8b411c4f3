"""Runs benchmarks, each in a fresh process: ``python -m benchmarks [--quick] [NAME ...]``, all by default."""

from __future__ import annotations

import argparse
import subprocess
import sys

QUICK = {
    "import_time": ["--quick"],
    "cold_start": ["--quick"],
    "emoji_sampling": ["--quick"],
    "sampling_overhead": ["--repeats", "2"],
    "sdxl_sampling": ["--size", "tiny"],
    "sdxl_load": ["--size", "tiny"],
    "checkpoint_load": ["--quick"],
    "lora": ["--rounds", "1"],
    "one_core": ["--rounds", "1"],
    "quantised_picture": ["--rounds", "1"],
    "lora_on_quantised": ["--rounds", "1", "--forms", "Q8_0"],
    "reload": ["--size", "tiny", "--rounds", "1"],
    "gguf_dequantise": ["--rounds", "1", "--shape", "512x3072"],
    "gguf_linear": ["--rounds", "1", "--shapes", "512x3072"],
    "quantised_quality": ["--quick"],
    "canvas_paint": ["--quick"],
    "gallery_scroll": ["--quick"],
    "server_start": ["--quick"],
    "server_load": ["--quick"],
    "page_load": ["--quick"],
    "api_polling": ["--quick"],
    "api_overhead": ["--quick"],
    "quantised_flux_gpu": ["--tiny", "--steps", "1", "--side", "64"],
}
"""Every benchmark, cheapest first, with what makes it short enough to try out."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(QUICK)}; all by default")
    parser.add_argument("--quick", action="store_true", help="smallest settings: the numbers mean little")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(QUICK))
    if unknown:
        parser.error(f"no benchmark named {', '.join(unknown)}; there are {', '.join(QUICK)}")
    failed = []
    for name in options.names or QUICK:
        extra = QUICK[name] if options.quick else []
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *extra]).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
