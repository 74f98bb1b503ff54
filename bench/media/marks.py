"""The table of marks: what was heard against what was said, by ITU-T P.862.2 (wideband PESQ)."""

import sys
import wave
from pathlib import Path

import numpy as np
from pesq import pesq
from scipy.signal import resample_poly

RATE = 16000


def read(path):
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)
        return resample_poly(samples, RATE, file.getframerate())


def main(speech, folder):
    said = read(speech)
    marks = {}
    for file in Path(folder).glob("*.wav"):
        one, other, loss, jitter = file.stem.split("-")
        marks[one, other, float(loss), int(jitter)] = pesq(RATE, said, read(file), "wb")
    conditions = sorted({key[2:] for key in marks}, key=lambda condition: condition[::-1])
    print("| from | to |", " | ".join(f"{loss:g} %, {jitter} ms" for loss, jitter in conditions), "|")
    print("| --- " * (len(conditions) + 2) + "|")
    for pair in sorted({key[:2] for key in marks}, key=lambda pair: [name.lower() for name in pair]):
        print("|", " | ".join([*pair, *(f"{marks[(*pair, *condition)]:.2f}" for condition in conditions)]), "|")


main(*sys.argv[1:])
