"""FLOWS: what is found, and the sentence for each way in which it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepwell import App, InvalidOption
from stepwell.cli.flows import load, locate
from tests.cli.conftest import Cli

APP = "from stepwell import App\napp = App()\n"


def write(folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def refusal(flows: str) -> str:
    with pytest.raises(InvalidOption) as refused:
        load(flows)
    return str(refused.value)


@pytest.mark.parametrize("flows", ["one.py", "./one.py", "one", "one.py:app", "one:app"])
def test_a_file_or_a_module_gives_its_app(folder: Path, flows: str) -> None:
    write(folder, "one.py", APP)

    assert isinstance(load(flows), App)


def test_a_file_in_another_folder_can_import_its_neighbours(folder: Path) -> None:
    write(folder, "project/steps_of_two.py", "NAME = 'Ada'\n")
    write(folder, "project/two.py", f"from steps_of_two import NAME\n{APP}")

    assert isinstance(load("project/two.py"), App)


@pytest.mark.parametrize("flows", ["shop/flows.py", "shop.flows", "shop/__init__.py"])
def test_a_file_of_a_package_is_imported_as_a_part_of_it(folder: Path, flows: str) -> None:
    write(folder, "shop/apps.py", APP)
    write(folder, "shop/flows.py", "from .apps import app\n")
    write(folder, "shop/__init__.py", "from .apps import app\n")

    assert isinstance(load(flows), App)


def test_the_folder_to_watch_is_the_one_that_is_imported_from(folder: Path) -> None:
    write(folder, "project/shop/__init__.py", "")
    write(folder, "project/shop/flows.py", APP)

    assert locate("project/shop/flows.py").root == folder / "project"
    assert locate("shop.flows").root == folder


def test_one_app_under_two_names_is_one_app(folder: Path) -> None:
    write(folder, "three.py", f"{APP}application = app\n")

    assert isinstance(load("three.py"), App)


def test_an_attribute_says_which_of_several_apps(folder: Path) -> None:
    write(folder, "four.py", "from stepwell import App\nfirst, second = App(), App(schema='other')\n")

    assert load("four.py:first") is not load("four.py:second")
    assert refusal("four.py") == "four.py has several Apps; say which: four.py:first"
    assert refusal("four.py:third") == "four.py has no App called 'third'; it has: first, second"


def test_a_file_without_an_app_is_told_what_it_needs(folder: Path) -> None:
    write(folder, "five.py", "app = 5\n")

    assert refusal("five.py") == "five.py has no App; it needs a line such as `app = App()`"
    assert refusal("five.py:app") == "five.py has no App called 'app'; it has none"


def test_what_is_not_there_is_named(folder: Path) -> None:
    (folder / "empty").mkdir()

    assert refusal("no.py") == "there is no file 'no.py'; `stepwell init DIR` writes one to begin with"
    assert refusal("./empty") == "./empty is a folder; name the file in it that has the App"
    assert refusal("no.such") == f"there is no module 'no.such' in {folder} or among what is installed"
    assert refusal("") == "FLOWS is empty; name a file such as flows.py or a module such as package.flows"


@pytest.mark.parametrize("flows", ["'; drop table x; --.py", "\0.py", "😀.py", "%s%n.py", "--.py", "a" * 5000 + ".py"])
def test_a_hostile_name_is_a_file_that_is_not_there(folder: Path, flows: str) -> None:
    assert refusal(flows).startswith("there is no file ")


def test_an_error_on_import_is_told_with_its_line(folder: Path) -> None:
    write(folder, "six.py", f"{APP}\n\nx = 1 / 0\n")

    assert refusal("six.py") == "six.py, line 5: ZeroDivisionError: division by zero"


def test_an_error_in_a_neighbour_is_told_with_the_neighbours_line(folder: Path) -> None:
    write(folder, "seven.py", "import steps_of_seven\n")
    write(folder, "steps_of_seven.py", "\nimport json\njson.loads('{')\n")

    assert refusal("seven.py").startswith("steps_of_seven.py, line 3: JSONDecodeError: ")


def test_a_syntax_error_is_told_with_its_line(folder: Path) -> None:
    write(folder, "eight.py", f"{APP}def f(:\n    pass\n")

    assert refusal("eight.py") == "eight.py, line 3: SyntaxError: invalid syntax"


def test_a_mistake_in_a_workflow_is_told_with_its_line(folder: Path) -> None:
    write(folder, "nine.py", f"{APP}\n@app.workflow\ndef pay(*amounts): ...\n")

    assert refusal("nine.py").startswith("nine.py, line 4: InvalidOption: pay: parameter 'amounts' cannot be passed")


def test_a_dependency_that_is_not_installed_is_named(folder: Path) -> None:
    write(folder, "ten.py", f"{APP}import no_such_library\n")

    assert refusal("ten.py") == "ten.py, line 3: ModuleNotFoundError: No module named 'no_such_library'"


def test_a_script_that_ends_the_program_is_told_where_its_code_belongs(folder: Path) -> None:
    write(folder, "eleven.py", f"{APP}raise SystemExit\n")

    assert refusal("eleven.py") == (
        "eleven.py ends the program while it is imported; put what only a script does behind"
        " `if __name__ == '__main__':`"
    )


def test_a_file_named_like_another_module_is_not_mistaken_for_it(folder: Path) -> None:
    write(folder, "json.py", APP)
    write(folder, "twelve.steps.py", APP)

    assert refusal("json.py").startswith("json.py is hidden by another module called 'json' (")
    assert refusal("json.py").endswith("json/__init__.py); rename the file")
    assert refusal("twelve.steps.py").endswith("cannot be imported: rename it, the name of a module has no dot")


def test_code_that_cannot_be_loaded_is_wrong_usage_and_shows_no_traceback(cli: Cli, folder: Path) -> None:
    write(folder, "thirteen.py", "x = 1 / 0\n")

    answer = cli("start", "pay", "--flows", "thirteen.py")

    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr == "Error: thirteen.py, line 1: ZeroDivisionError: division by zero\n"


def test_debug_shows_the_traceback(cli: Cli, folder: Path) -> None:
    write(folder, "fourteen.py", "x = 1 / 0\n")

    answer = cli("start", "pay", "--flows", "fourteen.py", "--debug")

    assert answer.exit_code == 2
    assert "Traceback (most recent call last)" in answer.stderr
    assert answer.stderr.endswith("Error: fourteen.py, line 1: ZeroDivisionError: division by zero\n")
