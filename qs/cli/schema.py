"""`qs schema`: prints the JSON schemas that editors and other programs check files with, or writes
them to a folder.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from qs.cli.basic_types import FilePath
from qs.cli.helping import Command


@click.command("schema", cls=Command, short_help="Print or write the JSON schemas of the files.")
@click.argument("name", required=False)
@click.option(
    "--write",
    "folder",
    type=FilePath("FOLDER", file_okay=False),
    help="Write NAME.schema.json into this folder, of all schemas where no NAME is given.",
)
def command(name: str | None, folder: Path | None) -> None:
    """Print the JSON schema NAME: qs_config, workload, model_info, interact or result.

    An editor that knows the schema of a file completes its keys and marks its mistakes.

    \b
    Examples:
      qs schema workload
      qs schema --write schemas
    """
    from qs.base.errors import UserError
    from qs.base.files import write_json
    from qs.schema.published import PUBLISHED, file_of, schema_of

    names = list(PUBLISHED) if name is None else [name]
    schemas = {each: schema_of(each) for each in names}
    if folder is not None:
        for each, schema in schemas.items():
            write_json(folder / file_of(each), schema)
            click.echo(str(folder / file_of(each)))
    elif name is not None:
        click.echo(json.dumps(schemas[name], indent=2))
    else:
        raise UserError(
            f"name a schema ({', '.join(PUBLISHED)}), or a folder for all of them with --write"
        )
