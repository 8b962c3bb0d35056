"""What the inputs of a model are fed."""

from __future__ import annotations

from qs.base import bounds
from qs.cli.basic_types import OneOf, Whole
from qs.cli.grouping import INPUTS, together, under
from qs.cli.types import BatchAxis, Named, OwnData, interval, whole_shape

_inputs = under(INPUTS)

seed = _inputs(
    "--seed",
    type=Whole(0, bounds.SEED),
    help="Seed of generated weights, inputs and arrivals.  [default: 0]",
    rare=True,
)

samples = _inputs(
    "--samples",
    "sample_count",
    type=Whole(1, bounds.SAMPLES),
    help="Distinct batches to cycle through.  [default: up to 64]",
    rare=True,
)
feeding = together(
    _inputs(
        "--data",
        type=OwnData(),
        multiple=True,
        metavar="[INPUT=]FILES",
        help="Your own items for an input: name=file or folder with .npy, .npz, .raw, .json, .pb, "
        ".txt, .png or .jpg. A single input needs no name=.",
    ),
    _inputs(
        "--shape",
        type=Named(whole_shape, "shape", "images=1,3,224,224", last=True),
        multiple=True,
        metavar="INPUT=SHAPE",
        help="Shape of an input in one call: name=1,3,224,224, or name=scalar. A batch of 1 in it "
        "is multiplied by --batch_sizes, a larger one is the batch size of the run. Repeat it for "
        "each input that needs one.",
    ),
    _inputs(
        "--range",
        "ranges",
        type=Named(interval, "range", "ids=0,30522", last=True),
        multiple=True,
        metavar="INPUT=LOW,HIGH",
        help="Range of an input's generated values, the second excluded: name=0,30522; name=1,1 is "
        "that one value.",
    ),
    _inputs(
        "--type",
        "types",
        type=Named(str.upper, "type", "ids=INT64", last=True),
        multiple=True,
        metavar="INPUT=TYPE",
        help="Type of an input, for artifacts that cannot be read: name=INT64.",
        rare=True,
    ),
    _inputs(
        "--batch_axis",
        type=BatchAxis(),
        multiple=True,
        help="The dimension that the batch size multiplies: its name (N), image=0, 0 (of each "
        "input), image=none or none.  [default: the open dimension called batch or N, else an open "
        "first one]",
        rare=True,
    ),
    _inputs(
        "--state",
        type=Named(str, "state", "h=hn"),
        multiple=True,
        metavar="INPUT=OUTPUT",
        help="An input that is fed an output of the previous call: input=output.  "
        "[default: where their names say so]",
        rare=True,
    ),
    _inputs(
        "--no_state",
        is_flag=True,
        help="Feed no output back, whatever the names say.",
        rare=True,
    ),
    _inputs(
        "--fill",
        type=OneOf(["random", "zeros"]),
        default="random",
        show_default=True,
        help="What inputs without data are filled with.",
        rare=True,
    ),
    samples,
)
