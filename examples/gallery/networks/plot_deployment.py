"""
Save, export to ONNX, serve
===========================

A fitted model leaves the notebook in three ways: as a file that runs no
code when it is loaded, as an ONNX graph for any language, and behind a web
service that scores rows given as JSON.
"""

# %%
# A model
# -------

import json
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
from sklearn.datasets import load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae
from skae import AEAnomalyDetector, AutoencoderTransformer

wine = load_wine(as_frame=True).data
folder = Path(tempfile.mkdtemp())
ae = AutoencoderTransformer(4, random_state=0).fit(wine)

# %%
# A file
# ------
#
# Unlike a pickle, the file holds arrays and settings and runs no code. The
# loaded model computes the same bits.

skae.save(ae, folder / "wine.skae")
loaded = skae.load(folder / "wine.skae")
print(np.array_equal(loaded.transform(wine), ae.transform(wine)))

# %%
# An ONNX graph
# -------------
#
# The whole pipeline, scaling included, in single precision.

pipeline = make_pipeline(
    StandardScaler(), AutoencoderTransformer(4, random_state=0)
)
pipeline.fit(wine.to_numpy())
skae.to_onnx(pipeline, folder / "wine.onnx")

session = onnxruntime.InferenceSession(folder / "wine.onnx")
rows = wine.to_numpy(np.float32)
outputs = session.run(None, {session.get_inputs()[0].name: rows})
print([output.name for output in session.get_outputs()])
here = pipeline.transform(wine.to_numpy())
print(f"largest difference of a code: {np.abs(outputs[0] - here).max():.0e}")

fig, ax = plt.subplots(figsize=(4.6, 4))
ax.scatter(here[:, 0], outputs[0][:, 0], s=12, color="#0072B2")
ax.set(
    xlabel="first number of the code in Python",
    ylabel="the same from ONNX",
)
fig.tight_layout()

# %%
# A web service
# -------------
#
# ``examples/serve/app.py`` is an ASGI app to be copied and changed. Here it
# runs in a thread, on a free port of this machine.

import threading
import time
from urllib.error import HTTPError
from urllib.request import urlopen

import uvicorn

sys.path.insert(0, str(Path(skae.__file__).parents[1] / "examples" / "serve"))
import app

table = wine[["alcohol", "flavanoids", "proline"]].copy()
table["grower"] = np.array(["A", "B", "C"])[load_wine().target]
detector = AEAnomalyDetector(novelty=True, random_state=0).fit(table)

server = uvicorn.Server(
    uvicorn.Config(app.create_app(detector), port=0, log_level="warning")
)
thread = threading.Thread(target=server.run, daemon=True)
thread.start()
while not server.started:
    time.sleep(0.05)
port = server.servers[0].sockets[0].getsockname()[1]
url = f"http://127.0.0.1:{port}/score"

rows = table.iloc[[0, 0]].to_dict("records")
rows[1]["proline"] = 290.0
with urlopen(url, json.dumps({"rows": rows}).encode()) as response:
    answer = json.load(response)
print(json.dumps(answer, indent=1))

# %%
# The second row has a value that its other values contradict; the reason is
# a sentence. A request with a wrong name is refused, with the name:

try:
    urlopen(url, b'{"rows": [{"alcohol": 13.0, "price": 9.5}]}')
except HTTPError as error:
    refused = error.code
    print(refused, error.read().decode())

server.should_exit = True
thread.join()

# sphinx_gallery_start_ignore
assert np.array_equal(loaded.transform(wine), ae.transform(wine))
assert np.abs(outputs[0] - here).max() < 1e-3
assert [row["anomaly"] for row in answer["rows"]] == [False, True]
assert refused == 422
# sphinx_gallery_end_ignore
