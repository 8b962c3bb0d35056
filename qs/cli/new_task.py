"""`qs new-task`: writes a task for the user's own model and data. What is written is qs.scaffold's
part.
"""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import Any

import click

from qs.base import bounds
from qs.cli.basic_types import FilePath, OneOf, Whole
from qs.cli.grouping import INPUTS, OUTPUT, TARGET, option, under
from qs.cli.helping import Command
from qs.cli.types import BatchAxis, Named, OwnData, WholeNumbers, whole_shape

# Name -> (scale, mean, std) of values from 0 to 255.
NORMALISATIONS = {
    "none": (1.0, (0.0,), (1.0,)),
    "unit": (1 / 255, (0.0,), (1.0,)),
    "signed": (1 / 127.5, (1.0,), (1.0,)),
    "imagenet": (1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


class Numbers(click.ParamType):
    """Numbers with commas, each perhaps a fraction: 0.485,0.456,0.406 or 1/255."""

    name = "numbers"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(_fraction(part) for part in str(value).split(","))
        except (ValueError, ZeroDivisionError):
            self.fail(f"{value!r} holds no numbers; write for example 0.5 or 1/255", param, ctx)


def _fraction(text: str) -> float:
    above, _, below = text.partition("/")
    return float(above) / float(below or 1)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


_model, _data, _prepared = under(TARGET), under(INPUTS), partial(option, INPUTS, rare=True)
_rare = partial(option, TARGET, rare=True)


@click.command("new-task", cls=Command, short_help="Write a task for your own model and data.")
@click.argument("name")
@_model("--model", type=FilePath(), required=True, help="An .onnx file (or .pt).")
@_data(
    "--data",
    type=OwnData(),
    multiple=True,
    metavar="[INPUT=]DATA",
    help="An .npz archive, a folder of pictures, a .csv list of pictures or table, a .jsonl of "
    "texts; or input=values.npy for each input.",
)
@_data("--labels", help="The array, column or key of labels; or their own .npy or .csv.")
@_data("--metric", help="top1, top5, accuracy, f1, auc, rmse, mae, r2, pearson ...")
@_data("--classes", help="Names of classes in the model's order: a file, or cat,dog.")
@_data("--kind", type=OneOf(["arrays", "pictures", "table", "text"]), help="What --data is.")
@_data(
    "--normalize",
    type=OneOf(list(NORMALISATIONS)),
    help="Of pictures: imagenet, unit (0..1), signed (-1..1) or none (0..255).",
)
@_data("--tokenizer", type=FilePath(), help="tokenizer.json or vocab.txt, of texts.")
@_data(
    "--columns",
    type=Named(_names, "columns", "x=age,income"),
    multiple=True,
    metavar="INPUT=COLUMNS",
    help="The columns of an input, of a table: x=age,income.",
)
@_data("--copy_data", is_flag=True, help="Copy the data into the data set's folder.")
@_prepared(
    "--preprocessor",
    type=FilePath(),
    help="The model's preprocessor_config.json.  [default: the one beside it]",
)
@_prepared("--scale", type=Numbers(), help="Values are multiplied by this first: 1/255.")
@_prepared("--mean", type=Numbers(), help="Subtracted then: a number, or one a channel.")
@_prepared("--std", type=Numbers(), help="Divided by then: a number, or one a channel.")
@_prepared("--layout", type=OneOf(["NCHW", "NHWC"]), help="Of pictures in the input.")
@_prepared("--channels", type=OneOf(["RGB", "BGR", "L"]), help="Of pictures; L is grey.")
@_prepared("--resize", help="Of pictures: stretch, crop, crop:256 (shorter edge first) or pad.")
@_prepared("--interpolation", type=OneOf(["nearest", "bilinear", "bicubic", "lanczos"]))
@_prepared("--text", help="The key of the text.")
@_prepared("--pair", help="The key of a second text.")
@_prepared("--cased", is_flag=True, help="The vocab.txt is cased.")
@_prepared("--length", type=Whole(1, bounds.COUNT), help="Tokens that a text is cut or padded to.")
@_prepared("--codes", type=FilePath(), help="JSON: column -> its values in the order of codes.")
@_prepared(
    "--scaling",
    type=FilePath(),
    help='JSON: {"mean": {"age": 38.6}, "std": {"age": 13.7}} of columns of numbers.',
)
@_prepared("--delimiter", help="Between the cells of a CSV file.")
@_prepared("--missing", type=float, help="What an empty cell is.")
@_rare("--output", help="The output that is scored, of several.")
@_rare("--activation", type=OneOf(["none", "sigmoid", "softmax"]), help="Of the scores.")
@_rare("--threshold", type=float, help="Of one score an item: class 1 is above it.")
@_rare(
    "--shape",
    "shapes",
    type=Named(whole_shape, "shape", "image=1,3,224,224", last=True),
    multiple=True,
    metavar="INPUT=SHAPE",
    help="Shape of an input in a call of one item.",
)
@_rare(
    "--type",
    "types",
    type=Named(str.upper, "type", "ids=INT64", last=True),
    multiple=True,
    metavar="INPUT=TYPE",
    help="Type of an input, for a .pt file.",
)
@_rare("--outputs", help="Names of the outputs, for a .pt file: logits,boxes.")
@_rare("--batch_axis", type=BatchAxis(), multiple=True, help="As for qs load.")
@_rare("--batch_sizes", type=WholeNumbers(), help="That the task measures.  [default: 1,8]")
@option(
    OUTPUT,
    "--into",
    "--workspace",
    "--out",
    "into",
    type=FilePath("FOLDER", exists=True, file_okay=False),
    default=Path(),
    help="The workspace to write it into.  [default: the working directory]",
)
@option(OUTPUT, "--force", is_flag=True, help="Write the files of this task anew.")
def command(name: str, **options: Any) -> None:
    """Write the task NAME: workloads/NAME.json, model_zoo/NAME.json and datasets/NAME/.

    Inputs and outputs are read from the model, the rest from the data or options. What nobody
    stated is guessed; each guess is listed with what states it. The files are meant to be edited.

    \b
    Examples:
      qs new-task mine --model model.onnx --data val.npz
      qs new-task cats --model cats.onnx --data pictures/ --normalize imagenet --metric top1,top5
      qs new-task income --model income.onnx --data val.csv --labels income --metric auc
      qs new-task moods --model moods.onnx --data val.jsonl --tokenizer tokenizer.json
    """
    from qs.scaffold.model_file import describe
    from qs.scaffold.task import write_task

    written = write_task(_asked(name, **options), describe)
    here = Path.cwd()
    for path in written.paths:
        click.echo(str(path.relative_to(here) if path.is_relative_to(here) else path))
    for line in (*written.read, *written.notes):
        click.echo(f"\n{line}" if line == written.read[0] else line)
    if written.guesses:
        click.echo("\nGuessed; what states it otherwise:")
        width = max(len(guess.what) for guess in written.guesses)
        for guess in written.guesses:
            click.echo(f"  {guess.what:<{min(width, 60)}}  {guess.how}")
    given = "" if written.root == here.resolve() else f" --workspace {_quoted(options['into'])}"
    click.echo("\nNext:")
    click.echo(f"  qs check --task {name}{given}")
    click.echo(f"  qs run --task {name} --hardware_type CPU{given}")


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _asked(name: str, **options: Any) -> Any:
    """What was typed. UsageError for what contradicts itself."""
    from qs.scaffold.data.plan import Asked

    places = dict(options.pop("data"))
    whole = places.pop("", None)
    if whole is not None and places:
        raise click.UsageError("--data is a file or folder, or one file for each input, not both")
    normalize, scale = options.pop("normalize"), options.pop("scale")
    scale = None if scale is None else scale[0]
    mean, std = options.pop("mean"), options.pop("std")
    if normalize is not None:
        usual = NORMALISATIONS[normalize]
        scale, mean, std = (
            given if given is not None else preset
            for given, preset in zip((scale, mean, std), usual, strict=True)
        )
    metric, outputs = options.pop("metric"), options.pop("outputs")
    for key in ("columns", "shapes", "types"):
        options[key] = dict(options[key])
    return Asked(
        name,
        data=whole,
        data_of=places,
        metrics=_names(metric) if metric else (),
        outputs=_names(outputs) if outputs else (),
        scale=scale,
        mean=mean,
        std=std,
        **{**options, "batch_sizes": options["batch_sizes"] or ()},
    )
