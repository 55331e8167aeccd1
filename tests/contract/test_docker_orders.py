"""Orders beyond starting and stopping, on a real engine and on the demo's: each is small and refuses more."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.model.action import (
    Action,
    DockerCopy,
    DockerExec,
    DockerPrune,
    DockerRemove,
    DockerTag,
    DockerVerb,
)
from backends.model.procedure import Receipt, ReceiptKind, Step
from backends.writers.docker import DockerEffector
from tests.contract.docker_one import BOTH, NAME, One, one_container
from tests.contract.docker_place import source, spec
from tests.turns import DOCKER

DONE, ALREADY, FAILED, UNKNOWN = (
    ReceiptKind.DONE, ReceiptKind.ALREADY, ReceiptKind.FAILED, ReceiptKind.UNKNOWN,
)  # fmt: skip


pytestmark = DOCKER


@pytest.fixture(scope="module", params=BOTH)
def one(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[One]:
    with one_container(request.param, request, tmp_path_factory.mktemp("docker")) as made:
        yield made


async def act(
    one: One, action: Action, *, deadline: float = 8.0, listed: bool = True, **values: Any
) -> Receipt:
    programs = [action] if listed and isinstance(action, DockerExec) else []
    effector = DockerEffector(
        source(one.url), [spec("one", NAME)], programs, lambda text: text.replace("hunter2", "****")
    )
    await effector.warm()
    return await effector.act(action, values, Step("s", "Do it", action, (), connect=0.5, deadline=deadline))


async def heard(one: One, program: tuple[str, ...], **values: Any) -> Receipt:
    """Of a program that prints something. One that ends at once may be heard saying nothing by a real engine:
    it is run again then."""
    for _ in range(5):
        receipt = await act(one, DockerExec("docker", "one", program), **values)
        if receipt.after is not None:
            break
    return receipt


async def test_a_listed_program_runs_and_what_it_printed_is_shown_without_secrets(one: One) -> None:
    receipt = await heard(one, ("echo", "user=$who", "hunter2"), who="kim")
    assert (receipt.kind, receipt.text, receipt.after) == (DONE, "exit 0", "user=kim ****")


async def test_a_program_that_fails_is_not_taken_for_done(one: One) -> None:
    receipt = await heard(one, ("cat", "/no/such/file"))
    assert receipt.kind is UNKNOWN
    assert "exit 1: cat: can't open '/no/such/file'" in receipt.text


@pytest.mark.parametrize(
    ("action", "why"),
    [
        (DockerExec("docker", "one", ("sh", "-c", "echo hi")), "is a shell"),
        (DockerExec("docker", "one", ("echo", "$what")), "would be taken for an option"),
        (DockerExec("docker", "other", ("echo", "hi")), "is no service of this stack"),
        (DockerExec("docker", "one", ("echo", "hi"), output="relative"), "is no full path"),
    ],
)
async def test_a_program_that_must_not_run_is_not_run(one: One, action: DockerExec, why: str) -> None:
    receipt = await act(one, action, what="--help")
    assert receipt.kind is FAILED
    assert why in receipt.text


async def test_what_the_stack_file_does_not_list_is_not_run(one: One) -> None:
    receipt = await act(one, DockerExec("docker", "one", ("echo", "hi")), listed=False)
    assert receipt.kind is FAILED
    assert "does not list" in receipt.text


async def test_output_becomes_a_file_whole_or_not_at_all(one: One, tmp_path: Path) -> None:
    target = tmp_path / "backup" / "zeros"
    size = 3_000_000
    program = ("head", "-c", str(size), "/dev/zero")
    receipt = await act(one, DockerExec("docker", "one", program, output=str(target)))
    assert receipt.kind is DONE
    assert "3,000,000 bytes" in receipt.text
    assert target.read_bytes() == bytes(size)
    assert target.stat().st_mode & 0o777 == 0o600
    again = await act(one, DockerExec("docker", "one", ("echo", "other"), output=str(target)))
    assert again.kind is FAILED
    assert "exists already" in again.text
    bad = target.with_name("bad")
    failure = await act(one, DockerExec("docker", "one", ("cat", "/none"), output=str(bad)))
    assert failure.kind is UNKNOWN
    assert [path.name for path in target.parent.iterdir()] == ["zeros"]


async def test_files_and_folders_are_copied_out_whole_or_not_at_all(one: One, tmp_path: Path) -> None:
    file, folder, bad = tmp_path / "kept", tmp_path / "tmp.tar", tmp_path / "bad"
    receipt = await act(one, DockerCopy("docker", "one", "/tmp/kept", str(file)))
    assert receipt.kind is DONE, receipt.text
    assert file.read_bytes() == b"kept\n"
    receipt = await act(one, DockerCopy("docker", "one", "/tmp", str(folder)))
    assert receipt.kind is DONE, receipt.text
    with tarfile.open(folder) as archive:
        assert "tmp/kept" in archive.getnames()
    assert (await act(one, DockerCopy("docker", "one", "/tmp", str(bad)))).kind is UNKNOWN
    assert (await act(one, DockerCopy("docker", "one", "/none", str(bad)))).kind is FAILED
    assert (await act(one, DockerCopy("docker", "one", "/tmp/kept", str(file)))).kind is FAILED
    assert (file.exists(), folder.exists(), bad.exists()) == (True, True, False)


async def test_a_signal_reaches_it_and_it_goes_on(one: One) -> None:
    receipt = await act(one, DockerVerb("docker", "signal", "one", signal="HUP"))
    assert receipt.kind is DONE
    assert one.client.api.inspect_container(NAME)["State"]["Running"]
    for signal in ("KILL", "TERM", None):
        assert (await act(one, DockerVerb("docker", "signal", "one", signal=signal))).kind is FAILED


async def test_its_image_gets_a_tag_that_pruning_keeps(one: One) -> None:
    try:
        receipt = await act(one, DockerTag("docker", "one", "rollback-$day"), day="20260117")
        assert (receipt.kind, receipt.text) == (
            DONE, f"controlroom-test:rollback-20260117 is the image of {NAME}",
        )  # fmt: skip
        tags = {tag for image in one.client.api.images() for tag in image["RepoTags"] or ()}
        assert "controlroom-test:rollback-20260117" in tags
        prune = DockerPrune("docker", "com.docker.compose.project=cr", ("rollback-",))
        assert (await act(one, prune)).kind is ALREADY
        assert one.client.api.images("controlroom-test:rollback-20260117")
        assert (await act(one, DockerTag("docker", "one", "no tag"))).kind is FAILED
    finally:
        one.client.api.remove_image("controlroom-test:rollback-20260117")


async def test_only_what_is_stopped_and_not_of_the_stack_is_removed(one: One) -> None:
    assert "belongs to this stack" in (await act(one, DockerRemove("docker", NAME))).text
    stranger = DockerEffector(source(one.url), [])
    remove = DockerRemove("docker", NAME)
    step = Step("s", "s", remove, (), connect=0.5, deadline=8.0)
    assert "runs: only what is stopped" in (await stranger.act(remove, {}, step)).text
    assert one.client.api.inspect_container(NAME)["State"]["Running"]


async def test_a_stopped_stranger_is_removed_and_its_volumes_stay(
    request: pytest.FixtureRequest,
) -> None:
    engine = request.getfixturevalue("docker_engine")
    made = engine.run("cr-left-over", "true", volumes={"cr-its-volume": {"bind": "/v", "mode": "rw"}})
    made.wait()
    effector = DockerEffector(source(engine.url), [spec("one", NAME)])
    action = DockerRemove("docker", "$name")
    receipt = await effector.act(
        action, {"name": "cr-left-over"}, Step("s", "s", action, (), connect=0.5, deadline=8.0)
    )
    assert receipt.kind is DONE
    assert engine.client.containers.list(all=True, filters={"name": "cr-left-over"}) == []
    engine.client.volumes.get("cr-its-volume").remove()


async def test_unused_images_of_the_label_go_and_those_to_keep_stay(docker_engine: Any) -> None:
    api = docker_engine.client.api
    label = ("LABEL", "com.docker.compose.project=cr-prune")
    for tag in ("old", "rollback-1"):
        changes = [" ".join(label), f'LABEL which="{tag}"']
        api.import_image_from_data(_empty_tar(), repository="cr-prune-me", tag=tag, changes=changes)
    prune = DockerPrune("docker", "com.docker.compose.project=cr-prune", ("rollback-", "latest-rollback"))
    effector = DockerEffector(source(docker_engine.url), [])
    receipt = await effector.act(prune, {}, Step("s", "s", prune, (), connect=0.5, deadline=8.0))
    assert (receipt.kind, receipt.text) == (DONE, "1 images removed: cr-prune-me:old")
    assert [image["RepoTags"] for image in api.images("cr-prune-me")] == [["cr-prune-me:rollback-1"]]
    api.remove_image("cr-prune-me:rollback-1")


async def test_a_container_is_cut_off_and_connected_again(one: One) -> None:
    name = one.network
    cut = await act(one, DockerVerb("docker", "disconnect", "one", network=name))
    assert (cut.kind, cut.text) == (DONE, f"{NAME} disconnected from {name}")
    again = await act(one, DockerVerb("docker", "connect", "one", network=name))
    assert (again.kind, again.text) == (DONE, f"{NAME} connected to {name}")
    assert list(one.client.api.inspect_container(NAME)["NetworkSettings"]["Networks"]) == [name]


def _empty_tar() -> bytes:
    import io
    import tarfile

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("empty"))
    return out.getvalue()
