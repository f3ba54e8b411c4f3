"""Importing and asking for help, beside importing torch: nothing heavy may be on these paths."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from benchmarks.timing import Report, python_child, take_turns, time_child

PEER = "import torch"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds: for trying the benchmark out")
    rounds = 2 if parser.parse_args().quick else 9

    commands = {
        PEER: python_child("import torch"),
        "an empty interpreter": python_child("pass"),
        "import sfumato": python_child("import sfumato"),
        "Studio()": python_child("import sfumato; sfumato.Studio()"),
        "sfumato --help": [str(Path(sys.executable).parent / "sfumato"), "--help"],
        "sfumato samplers": [str(Path(sys.executable).parent / "sfumato"), "samplers"],
    }
    report = Report(
        "import_time",
        "Start-up",
        "import sfumato 0.2 or less, sfumato --help 0.4 or less of import torch",
        {"rounds": rounds},
    )
    timings = take_turns({name: partial(time_child, command) for name, command in commands.items()}, rounds)
    report.add("start-up", timings, peer=PEER)
    report.finish()


if __name__ == "__main__":
    main()
