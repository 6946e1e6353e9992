import pytest

from gym_jax.cli import main


@pytest.fixture(scope="module")
def folder_of_module(tmp_path_factory):
    return tmp_path_factory.mktemp("trained")


@pytest.fixture
def trained_here(folder_of_module, request, monkeypatch, capsys):
    """The working directory: a folder with the run `a`, trained once with the SMALL words of the module."""
    monkeypatch.chdir(folder_of_module)
    if not (folder_of_module / "runs").exists():
        assert main(["train", "-m", "mlp", *request.module.SMALL, "--name", "a"]) == 0
        capsys.readouterr()
    return folder_of_module
