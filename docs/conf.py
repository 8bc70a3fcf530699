"""The site of these documents: ``make docs``."""

import os
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_ext"))

import ailand_gt4py  # noqa: E402

PROJECT = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = PROJECT["name"]
author = "The ailand_gt4py developers"
project_copyright = author
release = version = ailand_gt4py.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.doctest",
    "sphinx_copybutton",
    "sphinx_design",
    "ailand_site",
]
# Parts of pages, which commands put together; and what is no page.
exclude_patterns = ["**/introduction.md", "_ext", "**/.ipynb_checkpoints", "**/jupyter_execute"]

html_theme = "furo"
html_title = f"ailand_gt4py {release.partition('+')[0]}"
# Two dashes begin an option.
smartquotes = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {"navigation_with_keys": True}
html_copy_source = False
html_show_sourcelink = False
copybutton_exclude = ".linenos, .gp, .go"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 4
# A dollar sign in a command is one.
myst_dmath_allow_labels = False
myst_dmath_allow_digits = False

#: Where files of the repository are found that are no pages of the site, such as .../blob/main. Empty: the site has
#: copies of those that it names.
ailand_repository = os.environ.get("AILAND_REPOSITORY", "")

nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE.parent / "out" / "notebooks")
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

# In docstrings, what stands between single backquotes is a name of this package.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_default_options = {"members": True}
autodoc_preserve_defaults = True
napoleon_google_docstring, napoleon_numpy_docstring = True, False
napoleon_use_ivar = True
python_use_unqualified_type_names = True

#: Objects of others, of which no inventory is fetched; shapes and other words that stand where a type may; types that
#: are aliases, which have no page.
nitpick_ignore_regex = [
    ("py:.*", r"(numpy|np|xarray|xr|pandas|collections|pathlib|os|datetime|gt4py|pydantic|torch|yaml|netCDF4)\b.*"),
    ("py:.*", r"BaseModel|YAMLError|Interrupted|Precision|Values|Backend|Number|Positions|Array|ArrayLike"),
    ("py:class", r"n_\w+|mean|std|minimum|maximum|training_minimum|latitudes?|longitude|windows|schedules|options"),
    # Types of options, which say how a text is read.
    ("py:class", r"ailand_gt4py\.core\.option_types\..*"),
    ("py:class", r"lower|lower_bound|long_name|inputs_properties|.* .*"),
]

doctest_test_doctest_blocks = "default"
# The package is imported, and so is what it says once.
doctest_global_setup = "import warnings; warnings.simplefilter('ignore')"

suppress_warnings = [
    # Attributes of several classes have the same name; none of them is meant.
    "ref.python",
    # The environment holds the links of one build, and no state of them between builds.
    "config.cache",
]
