from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from likeness.errors import InputError
from likeness.voices.encoders import open_encoder, similarity
from likeness.voices.transcribing import open_transcriber
from tests.voices.recordings import speech


def write_dvector(path: Path) -> Path:
    """A file in the layout of Resemblyzer's, with random weights."""
    torch.manual_seed(0)
    parts = {"lstm": nn.LSTM(40, 256, 3, batch_first=True), "linear": nn.Linear(256, 256)}
    weights = {f"{name}.{key}": value for name, part in parts.items() for key, value in part.state_dict().items()}
    torch.save({"model_state": {**weights, "similarity_weight": torch.ones(1)}}, path)
    return path


def test_a_dvector_file_gives_vectors_of_length_one_whatever_the_level(tmp_path: Path) -> None:
    encode = open_encoder(write_dvector(tmp_path / "pretrained.pt"))
    x = speech(4, rate=16_000)
    v = encode(x)
    assert v.shape == (256,) and np.linalg.norm(v) == pytest.approx(1)
    assert similarity(v, encode(x)) == pytest.approx(1)
    assert similarity(v, encode(x * 0.01)) > 0.99  # quiet recordings are brought up
    assert len(encode(x[:8000])) == 256  # half a second


def test_an_xvector_folder_of_transformers_is_read(tmp_path: Path) -> None:
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForXVector

    config = Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=(8, 8, 8),
        conv_stride=(5, 4, 4), conv_kernel=(10, 8, 8), num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2,
        tdnn_dim=(8, 8, 8, 8, 16), xvector_output_dim=12,
    )  # fmt: skip
    Wav2Vec2ForXVector(config).save_pretrained(tmp_path)
    Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    assert open_encoder(tmp_path)(speech(2, rate=16_000)).shape == (12,)


@pytest.mark.parametrize("content", [b"", b"nonsense"])
def test_what_is_no_encoder_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(InputError, match="d-vector"):
        open_encoder(tmp_path / "x.pt")
    with pytest.raises(InputError, match="no speaker encoder"):
        open_encoder(tmp_path / "nowhere")


def test_what_is_no_whisper_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data.transcriber: .* no Whisper"):
        open_transcriber(str(tmp_path), torch.device("cpu"), field="data.transcriber")


def test_a_whisper_checkpoint_writes_something_down(tmp_path: Path) -> None:
    from tests.voices.tiny_whisper import make_tiny_whisper

    transcribe = open_transcriber(str(make_tiny_whisper(tmp_path / "whisper")), torch.device("cpu"))
    assert isinstance(transcribe(speech(2, rate=16_000)), str)
