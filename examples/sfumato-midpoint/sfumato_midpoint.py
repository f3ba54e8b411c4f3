from itertools import pairwise

from sfumato.hookspecs import hookimpl

SFUMATO_API = "1.0"
ABOUT = {"label": "Midpoint", "summary": "Two looks a step.", "order": 2, "evaluations_per_step": 2}


@hookimpl
def register_samplers(samplers):
    samplers.add("midpoint", "sfumato_midpoint:midpoint", **ABOUT)


def midpoint(denoise, x, sigmas, context):
    for i, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        denoised = denoise(x, sigma)
        context.on_step(i, x, denoised)
        if sigma_next == 0:
            return denoised
        middle = (sigma + sigma_next) / 2
        x_middle = x + (middle - sigma) * (x - denoised) / sigma
        x = x + (sigma_next - sigma) * (x_middle - denoise(x_middle, middle)) / middle
    return x
