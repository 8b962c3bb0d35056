"""`qs new-task`: writes a task for the user's own model and data. What is written is qs.scaffold's
part.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from qs.base import bounds
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
            self.fail(f"{value!r} holds no numbers; write for example 0.5 or 1/255.", param, ctx)


def _fraction(text: str) -> float:
    above, _, below = text.partition("/")
    return float(above) / float(below or 1)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


@click.command("new-task", short_help="Write a task for your own model and data.")
@click.argument("name")
@click.option(
    "--model", type=click.Path(path_type=Path), required=True, help="An .onnx file (or .pt)."
)
@click.option(
    "--data",
    type=OwnData(),
    multiple=True,
    help="An .npz archive, a folder of pictures, a .csv list of pictures or table, a .jsonl of "
    "texts; or input=values.npy for each input.",
)
@click.option("--labels", help="The array, column or key of labels; or their own .npy or .csv.")
@click.option("--classes", help="Names of classes in the model's order: a file, or cat,dog.")
@click.option("--metric", help="top1, top5, accuracy, f1, auc, rmse, mae, r2, pearson ...")
@click.option("--output", help="The output that is scored, of several.")
@click.option("--activation", type=click.Choice(["none", "sigmoid", "softmax"]))
@click.option("--threshold", type=float, help="Of one score an item: class 1 is above it.")
@click.option("--kind", type=click.Choice(["arrays", "pictures", "table", "text"]))
@click.option("--normalize", type=click.Choice(list(NORMALISATIONS)), help="Of 0..255.")
@click.option("--scale", type=Numbers(), help="Values times this first, for example 1/255.")
@click.option("--mean", type=Numbers(), help="Subtracted then: a number, or one a channel.")
@click.option("--std", type=Numbers(), help="Divided by then: a number, or one a channel.")
@click.option("--layout", type=click.Choice(["NCHW", "NHWC"]), help="Of pictures in the input.")
@click.option("--channels", type=click.Choice(["RGB", "BGR", "L"]))
@click.option("--resize", help="stretch, crop, crop:256 or pad.")
@click.option("--interpolation", type=click.Choice(["nearest", "bilinear", "bicubic", "lanczos"]))
@click.option("--tokenizer", type=click.Path(path_type=Path), help="tokenizer.json or vocab.txt.")
@click.option("--text", help="The key of the text.")
@click.option("--pair", help="The key of a second text.")
@click.option("--cased", is_flag=True, help="The vocab.txt is cased.")
@click.option("--length", type=click.IntRange(1, bounds.COUNT), help="Tokens that a text has.")
@click.option(
    "--columns",
    type=Named(_names, "columns", "x=age,income"),
    multiple=True,
    help="The columns of an input: x=age,income.",
)
@click.option(
    "--codes", type=click.Path(path_type=Path), help="JSON: column -> its values in order."
)
@click.option(
    "--scaling",
    type=click.Path(path_type=Path),
    help='JSON: {"mean": {"age": 38.6}, "std": {"age": 13.7}} of columns of numbers.',
)
@click.option("--delimiter", help="Between the cells of a CSV file.")
@click.option("--missing", type=float, help="What an empty cell is.")
@click.option(
    "--shape",
    "shapes",
    type=Named(whole_shape, "shape", "image=1,3,224,224", last=True),
    multiple=True,
    help="Shape of an input in a call of one item.",
)
@click.option(
    "--type",
    "types",
    type=Named(str.upper, "type", "ids=INT64", last=True),
    multiple=True,
    help="Type of an input, for a .pt file.",
)
@click.option("--outputs", help="Names of the outputs, for a .pt file: logits,boxes.")
@click.option("--batch_axis", type=BatchAxis(), multiple=True, help="As for qs load.")
@click.option("--batch_sizes", type=WholeNumbers(), help="That the task measures.  [default: 1,8]")
@click.option(
    "--into",
    "--workspace",
    "--out",
    "into",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    help="The workspace to write it into.  [default: the working directory]",
)
@click.option("--copy_data", is_flag=True, help="Copy the data into the data set's folder.")
@click.option("--force", is_flag=True, help="Write the files of this task anew.")
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
        raise click.UsageError("--data is a file or folder, or one file for each input, not both.")
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
