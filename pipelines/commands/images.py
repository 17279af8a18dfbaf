"""``fec images``: build the container images the steps run in, and push them."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from pipelines.image_build.recipe import DEFAULT_BASE_IMAGE, Recipe
from pipelines.image_build.source import IMAGES, generate_image_tag, read_source, reference

SUMMARY = "Build the container images the steps run in, with a local engine or Cloud Build, and push them."


def add_options(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    build = actions.add_parser("build", help="build the images, and push them with --push", description=SUMMARY)
    build.add_argument(
        "--registry", required=True, help="where the images belong, as ghcr.io/me or REGION-docker.pkg.dev/PROJECT/fec"
    )
    build.add_argument(
        "--only",
        action="append",
        choices=IMAGES,
        metavar="NAME",
        help=f"one of {', '.join(IMAGES)} (may be repeated; default: data and train)",
    )
    build.add_argument("--tag", default="", help="the tag (default: the git revision, marked if there are changes)")
    build.add_argument(
        "--engine", choices=("docker", "cloudbuild"), default="docker", help="who builds (default: %(default)s)"
    )
    build.add_argument("--push", action="store_true", help="push what was built (Cloud Build always does)")
    build.add_argument(
        "--cache-from",
        action="append",
        default=[],
        metavar="IMAGE",
        help="an image whose layers are used again (may be repeated)",
    )
    build.add_argument(
        "--base-image", default=DEFAULT_BASE_IMAGE, help="Python 3.11 and pip on Debian (default: %(default)s)"
    )
    build.add_argument(
        "--build-arg",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what the Dockerfile takes beside that, as TENSORFLOW or PIP_INDEX_URL (may be repeated)",
    )
    build.add_argument(
        "--network", default="", help="the network of the docker build, as host (default: the engine's own)"
    )
    build.add_argument(
        "--sbom",
        default="",
        metavar="PATH",
        help="write the image's bill of materials (CycloneDX); {name} in PATH is the image's",
    )
    build.add_argument(
        "--images",
        default="",
        metavar="FILE",
        help="with --push: write what was pushed, by digest, to this file, which fec compile and fec submit take",
    )
    build.add_argument("--build-dir", default=".", help="a checkout of the project (default: this folder)")
    build.add_argument("--gcb-project", default="", help="Cloud Build: the project (default: that of the credentials)")
    build.add_argument(
        "--gcb-bucket", default="", help="Cloud Build: the bucket for source and logs (default: PROJECT_cloudbuild)"
    )
    build.add_argument("--gcb-region", default="global", help="Cloud Build: the region (default: %(default)s)")


def run(options: argparse.Namespace) -> int:
    _check_images(options)
    recipes = recipes_from(options)
    _check_sbom(options.sbom, recipes)
    if options.engine == "cloudbuild":
        _build_in_cloud(options, recipes)
    else:
        _build_here(options, recipes)
    for recipe in recipes:
        print(recipe.reference)
    return 0


def recipes_from(options: argparse.Namespace) -> list[Recipe]:
    """What is to be built, in the order in which it was asked for."""
    from fec.errors import ConfigurationError

    build_dir = Path(options.build_dir).resolve()
    if not (build_dir / "images").is_dir():
        raise ConfigurationError(
            f"build dir {str(build_dir)!r}: there is no folder images in it; name a checkout of the project"
        )
    for option, value in (
        ("--base-image", options.base_image),
        *(("--cache-from", name) for name in options.cache_from),
    ):
        if not re.fullmatch(r"[\w.:/@-]+", value, re.ASCII):
            raise ConfigurationError(f"{option} {value!r}: expected the name of an image, as ghcr.io/me/fec-data:1")
    arguments: dict[str, str] = {}
    for given in options.build_arg:
        name, separator, value = given.partition("=")
        if not name or not separator:
            raise ConfigurationError(f"build argument {given!r}: expected NAME=VALUE")
        arguments[name] = value
    source = read_source(build_dir)
    return [
        Recipe(
            name=name,
            reference=reference(options.registry, name, options.tag)
            if options.tag
            else generate_image_tag(options.registry, name, build_dir),
            build_dir=build_dir,
            source=source,
            base_image=options.base_image,
            build_args=arguments,
            cache_from=tuple(options.cache_from),
        )
        for name in dict.fromkeys(options.only or ("data", "train"))
    ]


def _build_here(options: argparse.Namespace, recipes: list[Recipe]) -> None:
    from pipelines.image_build import engine

    for recipe in recipes:
        engine.build(recipe, network=options.network)
        if options.sbom:
            engine.write_sbom(recipe.reference, _sbom_path(options.sbom, recipe))
        if options.push:
            _say_pinned(recipe, engine.push(recipe.reference), options.images)


def _build_in_cloud(options: argparse.Namespace, recipes: list[Recipe]) -> None:
    from pipelines.image_build import cloud

    builder = cloud.connect(options.gcb_project, options.gcb_bucket, options.gcb_region)
    for recipe in recipes:
        built = cloud.gcb_build_and_push(
            recipe.reference, recipe.build_dir, recipe.cache_from, arguments=recipe.arguments(), cloud=builder
        )
        _say_pinned(recipe, built.digest, options.images)
        if options.sbom:
            cloud.write_sbom(built, builder, _sbom_path(options.sbom, recipe))


def _say_pinned(recipe: Recipe, digest: str, file: str) -> None:
    """Say the reference that no later push can move, and note it in ``file`` if one is named."""
    pinned = f"{recipe.reference}@{digest}" if digest else recipe.reference
    if digest:
        print(pinned, file=sys.stderr)
    if file:
        from pipelines.image_build.pinned import write_pinned

        write_pinned(file, {recipe.name: pinned})


def _check_images(options: argparse.Namespace) -> None:
    from fec.errors import ConfigurationError
    from pipelines.image_build.pinned import read_pinned

    if not options.images:
        return
    if not options.push and options.engine != "cloudbuild":
        raise ConfigurationError("--images without --push: only a registry gives an image its digest")
    if Path(options.images).exists():
        read_pinned(options.images)
    elif not Path(options.images).absolute().parent.is_dir():
        raise ConfigurationError(f"images {options.images!r}: there is no such folder")


def _sbom_path(template: str, recipe: Recipe) -> Path:
    return Path(template.replace("{name}", recipe.name))


def _check_sbom(template: str, recipes: list[Recipe]) -> None:
    from fec.errors import ConfigurationError

    if not template:
        return
    if len(recipes) > 1 and "{name}" not in template:
        raise ConfigurationError(
            f"sbom {template!r}: several images are built; write {{name}} where the image's name goes"
        )
    if not _sbom_path(template, recipes[0]).absolute().parent.is_dir():
        raise ConfigurationError(f"sbom {template!r}: there is no such folder")
