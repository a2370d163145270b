"""What stands in a LoRA file's metadata: read from a file that the real code wrote, and explained."""

import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from likeness.catalog import CARDS

MEANING = {
    "format": "always `pt`: how readers of safetensors files know that these are torch tensors",
    "lora_adapter_metadata": "JSON for PEFT and diffusers: rank, alpha (equal to the rank, see "
    "[LoRA scale](../explanation/lora-scale.md)), the layers, those of another rank, and whether it is a DoRA",
    "likeness": "JSON: name, base, trigger, type, rank, epoch, step, targets; what Likeness itself reads back",
    "likeness_config_sha256": "`digest` of `run.json`: which settings made this file",
    "modelspec.sai_model_spec": "version of the modelspec convention",
    "modelspec.architecture": "family of the base",
    "modelspec.implementation": "whose key names the file uses",
    "modelspec.title": "name and epoch",
    "modelspec.resolution": "side of the square with the area trained at",
    "modelspec.trigger_phrase": "`trigger`",
    "modelspec.description": "`description`",
    "ss_output_name": "name of the run",
    "ss_base_model_version": "family of the base",
    "ss_sd_model_name": "hub repository or name of the base",
    "ss_network_module": "kind of network, in the words of tools that read `ss_` keys",
    "ss_network_dim": "rank",
    "ss_network_alpha": "equal to the rank: the scale is folded into the weights",
    "ss_learning_rate": "`optim.learning_rate`",
    "ss_optimizer": "`optim.optimizer`",
    "ss_seed": "`train.seed`",
    "ss_resolution": "`data.resolution`",
    "ss_v2": "always `False`: the base is not Stable Diffusion 2, in the words of tools that read `ss_` keys",
    "ss_tag_frequency": "JSON: how often each piece of a caption between commas occurs, by dataset folder",
    "ss_training_comment": "the trigger again, where such tools show it",
    "ss_num_train_images": "images in the manifest, held-out ones included",
    "ss_num_epochs": "`train.epochs`",
    "ss_epoch": "epoch of this file",
    "ss_steps": "updates until then",
}


def metadata_of_a_small_run() -> dict[str, str]:
    """Metadata of epoch 10 of the shipped example, as the worker writes it, around a network of one layer."""
    import safetensors
    import torch

    from likeness.lora import inject
    from likeness.lora.kinds import Size
    from likeness.service.runs import prepare
    from likeness.train.cache import Cache
    from likeness.train.loader import Item
    from likeness.train.loop import Job
    from likeness.worker.epoch import EpochResults, checkpoint_path

    example = Path(__file__).parent.parent / "examples" / "character" / "mika.yaml"
    prepared = prepare(example, ["sampling.prompts=[]", "train.probe_every=0"])
    items = [Item(e, ()) for e in prepared.examples]
    networks = {"transformer": torch.nn.ModuleDict({"layer": torch.nn.Linear(16, 16)})}
    inject.inject(networks, {"transformer.layer": Size(16, 16.0)}, "lora", dropout=0.0, seed=0)
    card = CARDS["starter"]
    family: Any = SimpleNamespace(card=card, networks=networks)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job = Job(folder, prepared.config, card, prepared.examples, "0" * 64)
        finish = EpochResults(job, family, items, Cache(folder / "cache"))
        weights = {n: p.detach() for n, p in inject.trainable(networks).items()}
        for _ in finish(10, 150, weights):
            pass
        with safetensors.safe_open(checkpoint_path(folder, 10), framework="pt") as f:
            return dict(sorted(f.metadata().items()))
