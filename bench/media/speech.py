"""A minute of espeak-ng's speech with pauses, at 16,000 samples per second: speech.py FILE.wav"""

import subprocess
import sys
import wave

import numpy as np
from scipy.signal import resample_poly

TEXT = """The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. It is easy to tell the depth of a well.
These days a chicken leg is a rare dish. Rice is often served in round bowls. The juice of lemons makes fine punch. The box was thrown
beside the parked truck. The hogs were fed chopped corn and garbage. Four hours of steady work faced us. A large size in stockings is
hard to sell."""


def main(path):
    # Sentences of the list that IEEE recommends for such tests, with half a second between two.
    subprocess.run(["espeak-ng", "-v", "en-us", "-s", "140", "-g", "20", "-w", path, TEXT], check=True)
    with wave.open(path) as file:
        rate, samples = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2")
    samples = resample_poly(samples.astype(float), 16_000, rate)[: 60 * 16_000]
    with wave.open(path, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.clip(samples, -32_768, 32_767).astype("<i2").tobytes())


if __name__ == "__main__":
    main(sys.argv[1])
