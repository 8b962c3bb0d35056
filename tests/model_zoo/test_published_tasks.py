"""The seventeen published tasks: their files, the size of what stands behind each, and a run of
each.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys

import onnx
import pytest

from tests.model_zoo import zoo

BERT = {name: [1, 384] for name in ("input_ids.1", "attention_mask.1", "token_type_ids.1")}
BERT_TF = {name: [1, 384] for name in ("input_ids:0", "input_mask:0", "segment_ids:0")}
QA = "start_logits,end_logits"
QA_SIZES, IMAGE_SIZES, ONNX_SIZES = [1, 4, 8, 16, 24], [4, 8, 16, 32, 64], [4, 8, 16, 24]
UNET = {"sample": [1, 4, 32, 32], "timestep": [1], "encoder_hidden_states": [1, 77, 768]}
CRITEO = {"new_categorical_placeholder:0": [26, 2], "new_numeric_placeholder:0": [1, 13]}

# task: (format, input shapes, types, outputs, data set, largest batch, batch sizes), as ByteMLPerf
# publishes them
PUBLISHED = {
    "bert-torch-fp32": ("pt", BERT, "LONG", QA, "open_squad", 64, QA_SIZES),
    "albert-torch-fp32": ("pt", BERT, "LONG", QA, "open_squad", 64, QA_SIZES),
    "roberta-torch-fp32": ("pt", BERT, "LONG", QA, "open_squad", 64, QA_SIZES),
    "deberta-torch-fp32": ("pt", BERT, "LONG", QA, "open_squad", 64, QA_SIZES),
    "bert-tf-fp32": ("saved_model", BERT_TF, "INT32", "logits:0", "open_squad", 64, ONNX_SIZES),
    "resnet50-torch-fp32": (
        "pt",
        {"input_1.1": [1, 3, 224, 224]},
        "FLOAT32",
        "softmax_tensor:0",
        "open_imagenet",
        64,
        IMAGE_SIZES,
    ),
    "resnet50-tf-fp32": (
        "saved_model",
        {"input_tensor:0": [1, 224, 224, 3]},
        "FLOAT32",
        "softmax_tensor:0",
        "open_imagenet",
        64,
        IMAGE_SIZES,
    ),
    "swin-large-torch-fp32": (
        "pt",
        {"pixel_values.1": [1, 3, 384, 384]},
        "FLOAT32",
        "logits",
        "open_imagenet",
        64,
        [2, 4, 8, 16, 24],
    ),
    "widedeep-tf-fp32": (
        "saved_model",
        CRITEO,
        "INT64,FLOAT32",
        "import/head/predictions/probabilities:0",
        "open_criteo_kaggle",
        16384,
        [1024, 4096, 16384],
    ),
    "roformer-tf-fp32": (
        "saved_model",
        {"input_segment:0": [1, 1024], "input_token:0": [1, 1024]},
        "FLOAT32",
        "Identity:0",
        "open_cail2019",
        64,
        [2, 4, 8, 16, 32, 64],
    ),
    "videobert-onnx-fp32": (
        "onnx",
        {"image": [1, 3, 224, 224], "text": [100, 77]},
        "FLOAT32,LONG",
        "output",
        "open_cifar",
        64,
        ONNX_SIZES,
    ),
    "conformer-encoder-onnx-fp32": (
        "onnx",
        {"src": [1, 3, 64, 512], "src_pad_mask": [1, 128]},
        "FLOAT32,BOOL",
        "memory",
        None,
        64,
        IMAGE_SIZES,
    ),
    "yolov5-onnx-fp32": (
        "onnx",
        {"images": [1, 3, 640, 640]},
        "FLOAT32",
        "output,345,403,461",
        None,
        64,
        [4, 8, 16, 32],
    ),
    "clip-onnx-fp32": (
        "onnx",
        {"input_ids": [1, 77]},
        "INT32",
        "last_hidden_state,pooler_output",
        None,
        64,
        ONNX_SIZES,
    ),
    "unet-onnx-fp32": ("onnx", UNET, "FLOAT32,INT64,FLOAT32", "out_sample", None, 64, ONNX_SIZES),
    "vae-encoder-onnx-fp32": (
        "onnx",
        {"sample": [1, 3, 256, 256]},
        "FLOAT32",
        "latent_sample",
        None,
        64,
        ONNX_SIZES,
    ),
    "vae-decoder-onnx-fp32": (
        "onnx",
        {"latent_sample": [1, 4, 32, 32]},
        "FLOAT32",
        "Convsample",
        None,
        64,
        ONNX_SIZES,
    ),
}

# Where ByteMLPerf's model infos have the user's files, below model_zoo/. Of clip its download
# script alone is known: it unpacks the folder; its file's name, and the version of videobert's
# framework, are ours.
PATHS = {
    "bert-torch-fp32": ("regular/open_bert/bert-base-uncased-squad-v1.pt", "1.9.1"),
    "albert-torch-fp32": ("popular/open_albert/albert-base-squad.pt", "1.9.1"),
    "roberta-torch-fp32": ("popular/open_roberta/roberta-base-squad.pt", "1.9.1"),
    "deberta-torch-fp32": ("popular/open_deberta/deberta-base-squad.pt", "1.10.0"),
    "bert-tf-fp32": ("regular/open_bert/bert_fp32", "2.4.0"),
    "resnet50-torch-fp32": ("regular/open_resnet50/resnet50.pt", "1.9.1"),
    "resnet50-tf-fp32": ("regular/open_resnet50/resnet50-fp32", "2.4.0"),
    "swin-large-torch-fp32": ("popular/swin-large/swin-transformer-large.pt", "1.12.0"),
    "widedeep-tf-fp32": ("regular/open_wide_deep_saved_model", "2.4.0"),
    "roformer-tf-fp32": ("popular/open_roformer", "2.4.0"),
    "videobert-onnx-fp32": ("popular/open_videobert/video-bert.onnx", "1.8.1"),
    "conformer-encoder-onnx-fp32": ("popular/open_conformer/conformer_encoder.onnx", "1.6"),
    "yolov5-onnx-fp32": ("popular/open_yolov5/yolov5s.onnx", "1.10.2"),
    "clip-onnx-fp32": ("sota/stable_diffusion/clip.onnx", "1.12.0"),
    "unet-onnx-fp32": ("sota/unet/model.onnx", "1.12.0"),
    "vae-encoder-onnx-fp32": ("sota/stable_diffusion/vae-encoder.onnx", "1.12.0"),
    "vae-decoder-onnx-fp32": ("sota/stable_diffusion/vae-decoder.onnx", "1.12.0"),
}
# Parameters, and who says so.
PARAMETERS = {
    "bert-torch-fp32": 108_893_186,  # transformers: BertForQuestionAnswering, bert-base-uncased
    "bert-tf-fp32": 108_893_186,  # the same network
    "albert-torch-fp32": 11_094_530,  # transformers: AlbertForQuestionAnswering, albert-base-v2
    "roberta-torch-fp32": 124_056_578,  # transformers: RobertaForQuestionAnswering, roberta-base
    # transformers: DebertaForQuestionAnswering, microsoft/deberta-base
    "deberta-torch-fp32": 138_603_266,
    "resnet50-torch-fp32": 25_557_032,  # torchvision's documentation: resnet50
    "resnet50-tf-fp32": 25_557_032 + 2049,  # the same with class 0 for the background
    "swin-large-torch-fp32": 196_735_516,  # timm: swin_large_patch4_window12_384, 196.74 M
    "widedeep-tf-fp32": 2_380_690,  # 26 (32 + 1) 1000 + 1, and layers 845-1024-512-256-1
    # transformers: RoFormerForSequenceClassification, roformer_chinese_base with two classes,
    # without its table of sines
    "roformer-tf-fp32": 124_049_666,
    "videobert-onnx-fp32": 151_277_313,  # transformers: CLIPModel, openai/clip-vit-base-patch32
    # 16 layers of transformers' Wav2Vec2ConformerEncoderLayer (1,587,968 each, below), two
    # convolutions, one projection
    "conformer-encoder-onnx-fp32": 27_053_568,
    # ultralytics' summary of yolov5s v6.0, fused: 7,225,885, 16.5 GFLOPs
    "yolov5-onnx-fp32": 7_225_885,
    "clip-onnx-fp32": 123_060_480,  # transformers: CLIPTextModel, openai/clip-vit-large-patch14
    "unet-onnx-fp32": 859_520_964,  # diffusers: UNet2DConditionModel, CompVis/stable-diffusion-v1-4
    # diffusers: AutoencoderKL of Stable Diffusion 1, encoder and quant_conv
    "vae-encoder-onnx-fp32": 34_163_664,
    "vae-decoder-onnx-fp32": 49_490_199,  # the same: decoder and post_quant_conv
}
# Billions of multiply-adds that are published, and by whom; the counting here leaves out what is
# neither convolution nor product.
PUBLISHED_WORK = {
    "resnet50-torch-fp32": (4.09, "torchvision"),
    "swin-large-torch-fp32": (103.9, "microsoft/Swin-Transformer, MODELHUB.md"),
    "yolov5-onnx-fp32": (16.5 / 2, "ultralytics"),
}
GRAPHS = {
    "build_resnet50": "resnet_graph",
    "build_two_towers": "two_towers_graph",
    "build_clip_text": "clip_text_graph",
    "build_vae_encoder": "encoder_graph",
    "build_vae_decoder": "decoder_graph",
}


def outline(name):
    """(model whose parameters are declared but not drawn, number of trained values)."""
    entry = zoo.source(name)
    file, _, function = entry["builder"].partition(":")
    module, kwargs = (
        zoo.builder(file.removeprefix("builders/").removesuffix(".py")),
        dict(entry["kwargs"]),
    )
    graph = getattr(module, GRAPHS.get(function, function.replace("build_", "") + "_graph"))(
        **kwargs
    )
    trained = {
        key: each
        for key, each in graph.parameters.items()
        if not key.endswith((".running_mean", ".running_var"))
    }
    return graph.outline(), sum(math.prod(each.shape) for each in trained.values())


def test_there_are_seventeen():
    assert len(PUBLISHED) == 17 and set(PARAMETERS) == set(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_files_are_as_published(name):
    model_format, shapes, types, outputs, dataset, largest, sizes = PUBLISHED[name]
    info = zoo.info(name)
    stated = types if "," in types else ",".join([types] * len(shapes))
    assert (info["model"], info["model_format"], info["outputs"]) == (name, model_format, outputs)
    assert info["inputs"].split(",") == list(shapes) and info["input_shape"] == shapes
    assert info["input_type"] in (types, stated)
    assert (info["dataset_name"], info["max_batch_size"], info["is_quantized"]) == (
        dataset,
        largest,
        False,
    )
    path, version = PATHS[name]
    assert (info["model_path"], info["framework_version"]) == (f"model_zoo/{path}", version)
    workload = json.loads((zoo.ROOT / "workloads" / f"{name}.json").read_text())
    assert (workload["model"], workload["batch_sizes"]) == (name, sizes)
    assert (workload["clients"], workload["iterations"], workload["data_percent"]) == (3, 100, 100)


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_and_work_are_the_published_models_and_are_stated(name):
    model, parameters = outline(name)
    info = zoo.info(name)
    assert parameters == info["parameters"] == PARAMETERS[name]
    flops = zoo.builder("counting").flops(model)
    assert flops == info["flops"]
    if name in PUBLISHED_WORK:
        assert flops / 2e9 == pytest.approx(PUBLISHED_WORK[name][0], rel=0.01)


def test_a_conformer_layer_has_the_parameters_of_transformers():
    """What transformers' Wav2Vec2ConformerEncoderLayer counts at 256, 4 heads, kernel 31, relative
    places.
    """
    graph = zoo.builder("conformer").conformer_graph(
        **zoo.source("conformer-encoder-onnx-fp32")["kwargs"]
    )
    layer = [
        each
        for key, each in graph.parameters.items()
        if key.startswith("layers.3.") and ".running_" not in key
    ]
    assert sum(math.prod(each.shape) for each in layer) == 1_587_968


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_signature_is_the_model_infos(name):
    model, _ = outline(name)
    _, shapes, _, outputs, *_ = PUBLISHED[name]
    given = {
        value.name: value.type.tensor_type for value in model.graph.input if value.name in shapes
    }
    for key, (first, *others) in shapes.items():
        side, *rest = given[key].shape.dim
        assert side.dim_param == ("batch" if first == 1 else f"{first}*batch")
        assert [each.dim_value for each in rest] == others
    assert [value.name for value in model.graph.output] == outputs.split(",")
    onnx.checker.check_model(model)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_run_ends_with_a_valid_report(name, tmp_path):
    """The command that a user types, with every batch size: a few minutes a task on two cores, all
    seventeen about an hour and a half.
    """
    command = [
        sys.executable,
        "-m",
        "qs",
        "run",
        "--task",
        name,
        "--hardware_type",
        "CPU",
        "--time_limit",
        "5",
    ]
    ran = subprocess.run(
        [*command, "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=3500,
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    (file,) = tmp_path.rglob("result-*.json")
    result = json.loads(file.read_text())
    rows, sizes = result["Performance"], PUBLISHED[name][-1]
    assert (result["Task"], result["Verdict"]) == (name, "VALID")
    assert all(row["Verdict"] == "VALID" and row["QPS"] > 0 and row["Errors"] == 0 for row in rows)
    # The largest may not fit into this machine's memory; then that is said, with what it would
    # take.
    measured = [row["BS"] for row in rows]
    left_out = [
        size
        for size in sizes
        if any(
            f"batch size {size} (" in text and "not measured: it" in text
            for text in result["Warnings"]
        )
    ]
    assert measured and measured + left_out == sizes
    outputs = result["Accuracy"]["Numeric"]["outputs"]
    assert list(outputs) == PUBLISHED[name][3].split(",")
    assert all(each["Cosine Similarity"] > 0.999 for each in outputs.values())
