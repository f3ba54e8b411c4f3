"""What a diffusers user writes for one picture. Arguments: model folder, picture."""

import sys

sys.modules["torchvision"] = None  # type: ignore[assignment]  # not needed, and costs time

from diffusers import FluxPipeline  # noqa: E402

pipeline = FluxPipeline.from_pretrained(sys.argv[1])
pipeline.set_progress_bar_config(disable=True)
length = pipeline.tokenizer_2.model_max_length
sizes = {"width": 64, "height": 64, "num_inference_steps": 20, "max_sequence_length": length}
picture = pipeline("a red apple", negative_prompt="", true_cfg_scale=3.0, **sizes).images[0]
picture.save(sys.argv[2])
