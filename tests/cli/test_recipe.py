"""The command `mindcv recipe`."""

from mindcv.cli import recipe
from mindcv.config import find_recipe


def test_recipe_prints_the_shipped_file(capsys):
    for name in ("convit_tiny_digits", "convit_tiny_digits.yaml"):
        assert recipe.main([name]) == 0
        with open(find_recipe("convit_tiny_digits"), encoding="utf-8") as file:
            assert capsys.readouterr().out == file.read()


def test_recipe_of_an_unknown_name_offers_the_closest(capsys):
    assert recipe.main(["convit_tiny_digit"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("mindcv recipe: no recipe is called 'convit_tiny_digit'; did you mean")
    assert error.count("\n") == 1
