"""What became of the signal: a table, and pictures in `docs/sound`: measures.py FOLDER KEYS [PICTURES]

FOLDER has what was heard, KEYS the keys that were found in it, a line each.
"""

import sys
import wave
from pathlib import Path

import matplotlib
import numpy as np

import sweep
from sweep import RATE

matplotlib.use("svg")
matplotlib.rcParams |= {"svg.hashsalt": "sound", "svg.fonttype": "none", "font.size": 9, "figure.constrained_layout.use": True}

import matplotlib.pyplot as plt  # noqa: E402

#: Edges of the bands that levels are compared in, three an octave.
EDGES = 2.0 ** (np.arange(20.0, 39.1) / 3)


def read(path):
    with wave.open(str(path)) as file:
        assert file.getframerate() == RATE
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768


def part(samples, where, delay=0.0, margin=0.0):
    """Of the part that begins and lasts so long, what is `margin` seconds within."""
    begin, seconds = where
    return samples[int((begin + delay + margin) * RATE) : int((begin + delay + seconds - margin) * RATE)]


def delay(said, heard, where):
    """Seconds by which a part of the sweep comes later."""
    looked_for = part(said, where)
    begin = int(where[0] * RATE)
    room = heard[max(0, begin - RATE // 10) : begin + len(looked_for) + RATE]
    size = 1 << int(np.ceil(np.log2(len(room) + len(looked_for))))
    likeness = np.fft.irfft(np.fft.rfft(room, size) * np.conj(np.fft.rfft(looked_for, size)), size)
    return (int(np.argmax(likeness[: len(room)])) - min(begin, RATE // 10)) / RATE


def response(said, heard):
    """Decibels by which each band of the sweep is louder than it was sent; `nan` where nothing was sent."""
    hz = np.fft.rfftfreq(len(said), 1 / RATE)
    power = [np.abs(np.fft.rfft(samples)) ** 2 for samples in (said, heard)]
    bands = [np.histogram(hz, EDGES, weights=one)[0] for one in power]
    return 10 * np.log10(np.maximum(bands[1], 1e-12) / np.maximum(bands[0], 1e-12))


def band(decibels):
    """From where to where it is at most 3 dB below what it is at 1 kHz."""
    middle = np.sqrt(EDGES[1:] * EDGES[:-1])
    good = middle[decibels > decibels[np.argmin(np.abs(middle - 1000))] - 3]
    return good.min(), good.max()


def frequency(samples):
    window = np.hanning(len(samples))
    size = 1 << 20
    return np.argmax(np.abs(np.fft.rfft(samples * window, size))) * RATE / size


def gaps(samples, level):
    """Milliseconds of 5 ms pieces that are 20 dB too quiet: all, and the longest."""
    size = RATE // 200
    pieces = samples[: len(samples) // size * size].reshape(-1, size)
    quiet = np.sqrt((pieces**2).mean(axis=1)) < level / 10
    longest = run = 0
    for one in quiet:
        run = run + 1 if one else 0
        longest = max(longest, run)
    return 5 * int(quiet.sum()), 5 * longest


def examine(path, said):
    heard = read(path)
    early = (sweep.SWEEP[0] + 0.5, 3.0)
    lag = delay(said, heard, early)
    tone = part(heard, sweep.TONE, lag, 0.3)
    nominal = np.sqrt((part(said, sweep.TONE, 0, 0.3) ** 2).mean())
    lost, longest = gaps(tone, nominal)
    return {
        "delay": 1000 * lag,
        "level": 20 * np.log10(np.sqrt((tone**2).mean()) / nominal),
        "hertz": frequency(tone) - sweep.TONE_HZ,
        "gaps": lost,
        "longest": longest,
        "response": response(part(said, sweep.SWEEP), part(heard, sweep.SWEEP, lag)),
    }


def distance(sent, heard):
    """Keys that are missing or too many (Levenshtein)."""
    row = range(len(heard) + 1)
    for i, one in enumerate(sent, 1):
        previous, row = row, [i]
        for j, other in enumerate(heard, 1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (one != other)))
    return row[-1]


def main(folder, keys_file, pictures=None):
    said = sweep.make()
    keys = dict(line.split(" ", 1) if " " in line else (line, "") for line in Path(keys_file).read_text().splitlines())
    seen = {}
    for path in sorted(Path(folder).glob("*.wav")):
        one, other, loss, jitter = path.stem.split("-")
        if float(loss) and int(jitter):
            # Both at once are in the marks of speech.
            continue
        figures = examine(path, said)
        figures["keys"] = len(sweep.KEYS_SENT) - distance(sweep.KEYS_SENT, keys[path.name].strip())
        seen[one, other, float(loss), int(jitter)] = figures
    table(seen)
    if pictures:
        Path(pictures).mkdir(exist_ok=True)
        draw(seen, Path(pictures))


def pairs(seen):
    return sorted({key[:2] for key in seen}, key=lambda pair: [name.lower() for name in pair])


def table(seen):
    print("| from | to | level dB | frequency Hz | within 3 dB, Hz | delay ms | delay at 80 ms | longest gap at 10 % | keys at 0, 1, 5, 10 % |")
    print("| --- " * 9 + "|")
    for pair in pairs(seen):
        good, late, bad = seen[(*pair, 0.0, 0)], seen[(*pair, 0.0, 80)], seen[(*pair, 10.0, 0)]
        low, high = band(good["response"])
        heard = ", ".join(str(seen[(*pair, loss, 0)]["keys"]) for loss in (0.0, 1.0, 5.0, 10.0))
        row = [
            *pair, f"{good['level']:+.1f}", f"{good['hertz']:+.2f}", f"{low:.0f} – {high:.0f}", f"{good['delay']:.0f}",
            f"{late['delay']:.0f}", f"{bad['longest']} ms", heard,
        ]  # fmt: skip
        print("|", " | ".join(row), "|")


def save(figure, path):
    figure.savefig(path, metadata={"Date": None})
    # No blanks at the ends of lines.
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")
    plt.close(figure)


def draw(seen, folder):
    names = sorted({key[0] for key in seen}, key=str.lower)
    middle = np.sqrt(EDGES[1:] * EDGES[:-1])
    figure, axes = plt.subplots(1, len(names), figsize=(2.6 * len(names), 2.8), sharey=True)
    for axis, one in zip(np.atleast_1d(axes), names, strict=True):
        for other in names:
            decibels = seen[one, other, 0.0, 0]["response"]
            axis.semilogx(middle, decibels, label=other, linewidth=1.2)
        axis.set(title=f"from {one}", xlabel="Hz", ylim=(-40, 6))
        axis.set_xticks([100, 300, 1000, 3400, 7000], ["100", "300", "1k", "3.4k", "7k"])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("dB against what was sent")
    axes[0].legend(title="to", loc="lower left")
    save(figure, folder / "response.svg")

    losses = sorted({key[2] for key in seen})
    jitters = sorted({key[3] for key in seen})
    figure, axes = plt.subplots(1, 3, figsize=(10, 3))
    for one in names:
        # Where it is encoded anew, the node's buffer is what makes up for the network.
        other = next(name for name in names if name.lower() != one.lower())
        label = f"{one} to {other}"
        axes[0].plot(jitters, [seen[one, other, 0.0, jitter]["delay"] for jitter in jitters], marker="o", label=label)
        axes[1].plot(losses, [seen[one, other, loss, 0]["gaps"] / 54.0 for loss in losses], marker="o", label=label)
        axes[2].plot(losses, [seen[one, other, loss, 0]["keys"] for loss in losses], marker="o", label=label)
    axes[0].set(xlabel="jitter, ms", ylabel="ms", title="delay in the node and the phone", ylim=(0, None))
    axes[1].set(xlabel="loss, %", ylabel="% of a tone", title="20 dB too quiet", ylim=(0, 10))
    axes[2].set(xlabel="loss, %", ylabel=f"of {len(sweep.KEYS_SENT)}", title=f"keys heard, {sweep.SNR:.0f} dB above noise", ylim=(0, 33))
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7)
    save(figure, folder / "networks.svg")


main(*sys.argv[1:])
