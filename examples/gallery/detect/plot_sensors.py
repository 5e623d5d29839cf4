"""
Windows of sensor readings: anomalies in a time series
======================================================

A series is cut into windows, and each window is a row. The detector
learns what normal windows look like; windows that overlap are held out
together, so that the threshold holds for later ones.
"""

# %%
# The readings
# ------------
#
# One sensor of a machine that repeats a cycle. Later it fails three
# times: it sticks at a value, it lags behind, it trembles.

import matplotlib.pyplot as plt
import numpy as np

from skae import AEAnomalyDetector

rng = np.random.RandomState(0)
time = np.arange(3000)
speed = 1 + 0.1 * np.sin(time / 170)
phase = np.cumsum(2 * np.pi / 40 * speed)
reading = np.sin(phase) + 0.4 * np.sin(2 * phase) + rng.normal(0, 0.05, 3000)

faulty = np.zeros(3000, dtype=bool)
faulty[2200:2230] = faulty[2450:2480] = faulty[2750:2780] = True
reading[2200:2230] = reading[2200]
reading[2450:2480] = np.sin(phase[2450:2480] - 1.2)
reading[2750:2780] += rng.normal(0, 0.5, 30)

# %%
# Windows, groups and the fit
# ---------------------------
#
# Windows of 40 readings; the first 2,000 readings are known to be normal,
# hence ``novelty=True``. Windows that overlap are nearly copies of each
# other: ``groups`` holds them out together.

length = 40
windows = np.lib.stride_tricks.sliding_window_view(reading, length)
train = windows[:1960:2]
groups = np.arange(len(train)) // length
detector = AEAnomalyDetector(novelty=True, random_state=0)
detector.fit(train, groups=groups)

# %%
# Later windows
# -------------
#
# The p-value of a window is the share of normal windows with at least its
# score. It belongs to the last reading of the window, at which it is known.

start = 2000
later = windows[start:]
p = detector.p_values(later)
last = time[start:][: len(later)] + length - 1
alarm = p < 0.01

fig, axes = plt.subplots(2, 1, figsize=(8, 4.6), sharex=True)
axes[0].plot(time[start:], reading[start:], lw=0.8, color="0.3")
axes[0].set(ylabel="reading", title="Later readings; faults are shaded")
axes[1].semilogy(last, p, lw=1, color="#0072B2")
axes[1].axhline(0.01, color="#D55E00", ls="--")
axes[1].set(ylabel="p-value of the window", xlabel="time")
for ax in axes:
    for first in (2200, 2450, 2750):
        ax.axvspan(first, first + 30, color="#D55E00", alpha=0.2, lw=0)
fig.tight_layout()

# %%
# Each fault gives an alarm within a few readings, and the alarm ends when
# the fault has left the window.

has_fault = faulty[last[:, None] - np.arange(length)].any(axis=1)
for first in (2200, 2450, 2750):
    during = alarm & (last >= first) & (last < first + 30 + length)
    print(f"fault at {first}: first alarm at {last[during].min()}")
print(f"normal windows with an alarm: {alarm[~has_fault].mean():.1%}")

# %%
# Which readings of the window the score comes from:

worst = int(np.argmin(detector.score_samples(later)))
shares = detector.explain(later[worst : worst + 1])[0]
fig, ax = plt.subplots(figsize=(8, 2.8))
ax.plot(later[worst], ".-", color="0.3", label="reading")
ax.plot(
    detector.expected(later[worst : worst + 1])[0],
    color="#0072B2",
    label="expected",
)
ax.bar(
    np.arange(length),
    shares / shares.max(),
    color="#D55E00",
    alpha=0.4,
    label="share of the score",
)
ax.set(xlabel="reading of the window")
ax.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.2))
fig.tight_layout()

# sphinx_gallery_start_ignore
for first in (2200, 2450, 2750):
    assert alarm[(last >= first) & (last < first + 6)].any()
    assert not alarm[(last >= first + 75) & (last < first + 90)].any()
assert alarm[~has_fault].mean() < 0.05
# sphinx_gallery_end_ignore
