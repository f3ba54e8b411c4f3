"""The fields of txt2img and img2img, with the defaults that A1111 documents; Forge's are among them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from sfumato_api_a1111.bodies import Fields

Flag = bool | None
Text = str | None
Whole = int | None
Number = float | None


class GenerationFields(Fields):
    """What both have in common."""

    prompt: Text = ""
    negative_prompt: Text = ""
    styles: list[str] | None = None
    seed: Whole = -1
    subseed: Whole = -1
    subseed_strength: Number = 0
    seed_resize_from_h: Whole = -1
    seed_resize_from_w: Whole = -1
    sampler_name: Text = None
    sampler_index: Text = "Euler"
    scheduler: Text = None
    batch_size: Whole = 1
    n_iter: Whole = 1
    steps: Whole = 50
    cfg_scale: Number = 7.0
    distilled_cfg_scale: Number = 3.5
    width: Whole = 512
    height: Whole = 512
    restore_faces: Flag = None
    tiling: Flag = None
    do_not_save_samples: Flag = False
    do_not_save_grid: Flag = False
    eta: Number = None
    denoising_strength: Number = None
    s_min_uncond: Number = None
    s_churn: Number = None
    s_tmax: Number = None
    s_tmin: Number = None
    s_noise: Number = None
    override_settings: dict[str, Any] | None = None
    override_settings_restore_afterwards: Flag = True
    refiner_checkpoint: Text = None
    refiner_switch_at: Number = None
    disable_extra_networks: Flag = False
    firstpass_image: Text = None
    comments: dict[str, Any] | None = None
    script_name: Text = None
    script_args: list[Any] | None = Field(default_factory=list)
    send_images: Flag = True
    save_images: Flag = False
    alwayson_scripts: dict[str, Any] | None = Field(default_factory=dict)
    force_task_id: Text = None
    infotext: Text = None


class Txt2ImgFields(GenerationFields):
    """The body of ``/sdapi/v1/txt2img``."""

    enable_hr: Flag = False
    firstphase_width: Whole = 0
    firstphase_height: Whole = 0
    hr_scale: Number = 2.0
    hr_upscaler: Text = None
    hr_second_pass_steps: Whole = 0
    hr_resize_x: Whole = 0
    hr_resize_y: Whole = 0
    hr_checkpoint_name: Text = None
    hr_additional_modules: list[Any] | None = None
    hr_sampler_name: Text = None
    hr_scheduler: Text = None
    hr_prompt: Text = ""
    hr_negative_prompt: Text = ""
    hr_cfg: Number = 1.0
    hr_distilled_cfg: Number = 3.5


class Img2ImgFields(GenerationFields):
    """The body of ``/sdapi/v1/img2img``."""

    init_images: list[str] | None = None
    resize_mode: Whole = 0
    denoising_strength: float = 0.75
    image_cfg_scale: Number = None
    mask: Text = None
    mask_blur_x: Whole = 4
    mask_blur_y: Whole = 4
    mask_blur: Whole = None
    mask_round: Flag = True
    inpainting_fill: Whole = 0
    inpaint_full_res: Flag = True
    inpaint_full_res_padding: Whole = 0
    inpainting_mask_invert: Whole = 0
    initial_noise_multiplier: Number = None
    latent_mask: Text = None
    include_init_images: Flag = False
