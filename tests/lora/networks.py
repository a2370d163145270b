"""Small networks to put LoRAs into."""

import torch
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from likeness.lora import inject as lora
from likeness.lora.change import Change
from likeness.lora.kinds import Size, Type, scale

# Sizes of two layers and a convolution, by the names that they have in files.
SIZES = {"unet.first": Size(2, 3.0), "unet.second": Size(4, 8.0), "unet.conv": Size(2, 2.0)}


class Network(nn.Module):
    """Two linear layers; a convolution over what comes out, seen as a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.norm = nn.Linear(6, 10), nn.Linear(10, 16), nn.LayerNorm(16)
        self.conv = nn.Conv2d(4, 6, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.second(torch.tanh(self.first(x))))
        return self.conv(y.reshape(-1, 4, 2, 2))


def network(dtype: torch.dtype = torch.float32) -> Network:
    """Always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Network().requires_grad_(False).to(dtype).eval()


def clip() -> CLIPTextModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = CLIPTextConfig(
            vocab_size=20, hidden_size=8, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
            max_position_embeddings=8, bos_token_id=0, eos_token_id=1, pad_token_id=1,
        )  # fmt: skip
        return CLIPTextModel(config).requires_grad_(False).eval()


def made_up(networks: lora.Networks, seed: int = 0) -> dict[str, Tensor]:
    """Weights for the injected LoRA, as if it had learned."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return {
            n: w.detach() * 1.3 if "magnitude" in n else torch.randn_like(w) * 0.3
            for n, w in lora.trainable(networks).items()
        }


def change_of(layer: str, weights: dict[str, Tensor], kind: Type, size: Size) -> Change:
    """The formula's view of one layer's weights."""
    own = {n.removeprefix(f"{layer}.").removesuffix(".weight"): w for n, w in weights.items() if n.startswith(layer)}
    magnitude = own.pop("lora_magnitude_vector", None)
    is_lora = kind in ("lora", "rslora", "dora")
    return Change(
        "LoRA" if is_lora else "LoKr" if kind == "lokr" else "LoHa",
        own,
        scale(kind, size),
        None if magnitude is None else magnitude.flatten(),
    )
