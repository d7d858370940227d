"""`tectum models add`: a folder with a first manifest around an .onnx file."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["add"]


@click.command(short_help="Make a model of an .onnx file.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.onnx")
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="The model's folder; default: the file's name, here.")  # fmt: skip
@click.option("--variant", default="", help="Name of the variant; default: fp32. With the folder "
              "of a model that exists: add the file to it.")  # fmt: skip
@click.option("--modality", default="", help="What it senses; default: the folder's name.")
@click.option("--licence", default="unknown", help="Of the file.")
def add(file: Path, into: Path | None, variant: str, modality: str, licence: str) -> None:
    """Make a model folder of FILE.onnx: a copy, and a manifest drawn from its tensors.

    What the file does not say is guessed, and marked (?) for you to check.
    """
    from tectum.inference.manifest import FILE_NAME  # noqa: PLC0415 - start-up
    from tectum_launch.model_draft import DraftOf  # noqa: PLC0415
    from tectum_launch.model_folder import add_model, add_variant  # noqa: PLC0415

    folder = into or Path(file.stem)
    if variant and (folder / FILE_NAME).exists():
        add_variant(file, folder, variant)
        click.echo(f"{folder / FILE_NAME}: variant {variant}, after the others: the cheapest")
    else:
        name = folder.resolve().name
        wanted = DraftOf(f"own/{name}", modality or name, licence, variant or "fp32")
        add_model(file, folder, wanted)
        click.echo(f"{folder / FILE_NAME}: check the lines marked (?)")
    click.echo(f"then: tectum models bench {_as_argument(folder)}")


def _as_argument(folder: Path) -> str:
    return str(folder) if folder.is_absolute() else f"./{folder}"
