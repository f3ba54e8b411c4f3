import torch

from sfumato.testing import FaceRestorerContract, PluginContract
from sfumato.upscaling import UpscaleContext
from sfumato_clear_faces import restore

SKIN = torch.tensor([[[224, 172, 140]]], dtype=torch.uint8)
SKY = torch.tensor([[[120, 160, 220]]], dtype=torch.uint8)


def striped(colour: torch.Tensor) -> torch.Tensor:
    picture = colour.expand(32, 32, 3).clone()
    picture[:, ::4] -= 20
    return picture


class TestPlugin(PluginContract):
    name = "clear_faces"


class TestClearFaces(FaceRestorerContract):
    name = "clear_faces"

    def pictures(self) -> list[torch.Tensor]:
        return [*super().pictures(), striped(SKIN)]


def test_skin_is_sharpened_and_all_else_left_alone() -> None:
    skin, sky = (restore(striped(colour), {}, UpscaleContext()) for colour in (SKIN, SKY))
    assert skin.float().std(1).mean() > 1.2 * striped(SKIN).float().std(1).mean()
    assert sky.equal(striped(SKY))
