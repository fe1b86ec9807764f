"""Every refusal has a stable code, a message, an exit code and, where there is one, a next step."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import sigma_core
from sigma_core.errors import ExitCode, SigmaError, Unavailable


def all_errors() -> list[type[SigmaError]]:
    for module in pkgutil.walk_packages(sigma_core.__path__, "sigma_core."):
        # Programs and migration environments do their work on import.
        if (
            not module.name.endswith((".__main__", ".env", ".train", ".train_context"))
            and ".versions." not in module.name
        ):
            importlib.import_module(module.name)
    found: list[type[SigmaError]] = [SigmaError]
    for error in found:
        found.extend(error.__subclasses__())
    return [error for error in dict.fromkeys(found) if error.__module__.startswith("sigma_core.")]


def test_exit_codes_are_those_of_the_specification() -> None:
    assert {code.name: code.value for code in ExitCode} == {"OK": 0, "NEGATIVE": 1, "USAGE": 2, "UNAVAILABLE": 3}


def test_a_hint_is_part_of_the_text() -> None:
    assert str(SigmaError("the port is taken", hint="choose another")) == "the port is taken (choose another)"
    assert str(SigmaError("the port is taken")) == "the port is taken"


def test_a_code_can_be_made_more_precise_for_one_error() -> None:
    error = Unavailable("the port is taken", code="PORT_TAKEN")
    assert (error.code, error.exit_code) == ("PORT_TAKEN", ExitCode.UNAVAILABLE)
    assert Unavailable("something else").code == "UNAVAILABLE"


def test_no_two_kinds_of_error_share_a_code() -> None:
    codes: dict[str, str] = {}
    for error in all_errors():
        if "code" in vars(error):
            place = f"{error.__module__}.{error.__name__}"
            assert codes.setdefault(error.code, place) == place
            assert error.code == error.code.upper()
    assert codes["UNAVAILABLE"] == "sigma_core.errors.Unavailable"


def test_every_kind_of_error_says_what_it_means_and_has_an_exit_code() -> None:
    for error in all_errors():
        assert error.__doc__, error
        assert isinstance(error.exit_code, ExitCode)


@pytest.mark.parametrize("error", [SigmaError("x"), Unavailable("y", hint="z")])
def test_errors_survive_a_process_pool(error: SigmaError) -> None:
    import pickle

    back = pickle.loads(pickle.dumps(error))
    assert (type(back), str(back), back.code, back.hint) == (type(error), str(error), error.code, error.hint)
