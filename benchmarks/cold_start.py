"""From nothing to the first picture: `sfumato generate` beside a ten-line diffusers script, whole processes.

Same weights, 20 Euler steps with CFG. 'ready to sample' is a process that stops as soon as sampling begins.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.timing import Report, python_child, take_turns, time_child

OURS, PEER = "sfumato generate", "diffusers script"
READY = """
import os, sys
from sfumato import Studio

def stop_at_sampling(event):
    if event.kind == "phase_started" and event.phase == "sampling":
        os._exit(0)

Studio().generate("a red apple", model=sys.argv[1], width=64, height=64, on_event=stop_at_sampling)
sys.exit("sampling never began")
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one round: for trying the benchmark out")
    parser.add_argument("--model", default="emoji", help="a Flux model with all its parts in one file")
    options = parser.parse_args()
    rounds = 1 if options.quick else 5

    with tempfile.TemporaryDirectory() as folder:
        peer_model, picture = Path(folder, "diffusers"), Path(folder, "picture.png")
        time_child([*python_child(SAVE_PEER), options.model, str(peer_model)])
        request = ["--steps=20", "--cfg-scale=3", "--width=64", "--height=64", "--sampler=euler"]
        program = str(Path(sys.executable).parent / "sfumato")
        script = str(Path(__file__).with_name("diffusers_script.py"))
        commands = {
            OURS: [program, "generate", "a red apple", "--model", options.model, *request, "--out", folder],
            "sfumato, ready to sample": [*python_child(READY), options.model],
            PEER: [sys.executable, script, str(peer_model), str(picture)],
            "import torch": python_child("import torch"),
        }
        runners = {name: partial(time_child, command) for name, command in commands.items()}
        timings = take_turns(runners, rounds)
    report = Report(
        "cold_start",
        "Cold start to the first picture",
        "0.4 or less of the script's time; ready to sample within 2 s of CPU",
        {"steps": 20, "CFG scale": 3.0, "size": "64x64", "rounds": rounds},
    )
    report.add("one picture", timings, peer=PEER)
    report.finish()


SAVE_PEER = """
import sys
from benchmarks.diffusers_pipeline import peer_pipeline
from sfumato import Studio

peer_pipeline(Studio().library.find(sys.argv[1])).save_pretrained(sys.argv[2])
"""


if __name__ == "__main__":
    main()
