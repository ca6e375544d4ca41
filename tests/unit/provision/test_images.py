"""Tags, lock file and Dockerfiles name the same versions, and a changed recipe is noticed."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision import desk, images, recipe
from provision.paths import ROOT


def locked(package: str) -> str:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    return next(str(entry["version"]) for entry in lock["package"] if entry["name"] == package)


@pytest.mark.parametrize("image", [i for i in images.ALL if i.package], ids=lambda i: i.tag)
def test_a_look_alike_holds_the_version_its_tag_says(image: images.Image) -> None:
    assert image.package is not None
    version = image.tag.rpartition(":")[2].removeprefix("v").partition("-")[0]
    assert version == locked(image.package), (
        f"uv.lock has another {image.package}: change the tag in provision/images.py, "
        "the Dockerfiles and the compose files with it"
    )


def base_images() -> Iterator[tuple[str, str]]:
    dockerfiles = [ROOT / "Dockerfile", *(ROOT / "examples").rglob("Dockerfile*")]
    for file in dockerfiles:
        if "node_modules" in file.parts:
            continue
        for line in file.read_text().splitlines():
            if line.startswith("FROM "):
                yield str(file.relative_to(ROOT)), line.split()[1]


@pytest.mark.parametrize(("file", "tag"), list(base_images()))
def test_every_base_image_is_one_that_is_set_up(file: str, tag: str) -> None:
    known = [*(image.tag for image in images.ALL), *desk.TAGS]
    assert tag in known, f"{file} stands on {tag}, which provision/images.py does not list"


def test_every_look_alike_has_a_recipe() -> None:
    for image in images.ALL:
        folder = ROOT / "provision" / "lookalikes" / image.recipe
        assert (folder / "Dockerfile").is_file(), f"{image.tag} has no recipe in {folder}"


def test_a_digest_changes_with_content_mode_name_and_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "ROOT", tmp_path)
    file = tmp_path / "a"
    file.write_text("one")
    digests = {recipe.digest([file]), recipe.digest([file], "word"), recipe.digest([])}
    file.chmod(0o755)
    digests.add(recipe.digest([file]))
    file.write_text("two")
    digests.add(recipe.digest([file]))
    digests.add(recipe.digest([file.rename(tmp_path / "b")]))
    assert len(digests) == 6


def test_a_digest_does_not_depend_on_the_order_files_are_found_in() -> None:
    files = sorted((ROOT / "provision").glob("*.py"))
    assert recipe.digest(files) == recipe.digest(reversed(files))
