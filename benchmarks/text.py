"""Sparse rows of text: held-out variance explained, compared with PCA and TruncatedSVD.

The documents are the docstrings of NumPy, SciPy and scikit-learn, which are installed wherever
skae is; with --newsgroups, four of the twenty newsgroups, which scikit-learn downloads. Each
becomes a sparse row of TF-IDF weights, and no matrix is converted to a dense one as a whole.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import argparse
import importlib
import inspect
import pkgutil
import warnings

from sklearn.base import clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split

from _common import clock, print_machine, print_table
from skae import AutoencoderTransformer
from skae.metrics import reconstruction_score

SIZES = (16,)
_PACKAGES = ("numpy", "scipy", "sklearn")
_GROUPS = ("alt.atheism", "comp.graphics", "sci.space", "talk.religion.misc")
_SHORTEST = 300


def docstrings():
    """Docstrings of public classes and functions, without short ones and duplicates."""
    found = {}
    for name in _PACKAGES:
        package = importlib.import_module(name)
        for info in pkgutil.iter_modules(package.__path__, f"{name}."):
            if info.name.rsplit(".", 1)[1].startswith(("_", "test", "conftest")):
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                module = importlib.import_module(info.name)
            for member, thing in inspect.getmembers(module):
                text = inspect.getdoc(thing) or ""
                if not member.startswith("_") and callable(thing) and len(text) >= _SHORTEST:
                    found[text] = None
    return sorted(found)


def newsgroups():
    """Four groups, without headers, footers and quotes."""
    from sklearn.datasets import fetch_20newsgroups

    remove = ("headers", "footers", "quotes")
    return fetch_20newsgroups(subset="train", categories=_GROUPS, remove=remove).data


def main(args):
    """Compare at each size."""
    print_machine(args.quick, os.environ["KERAS_BACKEND"])
    texts = newsgroups() if args.newsgroups else docstrings()
    train, test = train_test_split(texts, random_state=0)
    vectorizer = TfidfVectorizer(max_features=1000, stop_words="english", dtype="float32")
    X_train, X_test = vectorizer.fit_transform(train), vectorizer.transform(test)
    share = X_train.nnz / (X_train.shape[0] * X_train.shape[1])
    print(f"{len(train)} documents to train on, {len(test)} held out")
    print(f"{X_train.shape[1]} words, {share:.1%} of the entries not zero", flush=True)
    rows = []
    for size in SIZES:
        models = {
            "TruncatedSVD": TruncatedSVD(size, random_state=0),
            "PCA": PCA(size, svd_solver="arpack", random_state=0),
            "AutoencoderTransformer": AutoencoderTransformer(
                size, max_iter=3 if args.quick else 100, random_state=0
            ),
        }
        for name, model in models.items():
            seconds, model = clock(clone(model).fit, X_train)
            rows.append((name, size, reconstruction_score(model, X_test), seconds))
    print_table(
        "held-out variance explained", ["", "numbers a code", "share", "s of the fit"], rows
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="few epochs, as a test")
    parser.add_argument("--newsgroups", action="store_true", help="download other texts")
    main(parser.parse_args())
