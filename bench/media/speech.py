"""Sentences of flite's woman with pauses between them, at 16,000 samples per second: speech.py FILE.wav"""

import subprocess
import sys
import tempfile
import wave

# Of the list that IEEE recommends for such tests.
SENTENCES = (
    "The birch canoe slid on the smooth planks.",
    "Glue the sheet to the dark blue background.",
    "It is easy to tell the depth of a well.",
    "These days a chicken leg is a rare dish.",
    "Rice is often served in round bowls.",
    "The juice of lemons makes fine punch.",
    "The box was thrown beside the parked truck.",
    "The hogs were fed chopped corn and garbage.",
    "Four hours of steady work faced us.",
    "A large size in stockings is hard to sell.",
)
RATE = 16_000
# PESQ finds its way again at each pause.
PAUSE = bytes(2 * RATE)


def say(path, seconds=None):
    """All sentences, or so many seconds of them without pauses between."""
    with wave.open(str(path), "wb") as said:
        said.setparams((1, 2, RATE, 0, "NONE", ""))
        left = None if seconds is None else 2 * RATE * seconds
        if left is None:
            said.writeframes(PAUSE)
        for sentence in SENTENCES:
            with tempfile.NamedTemporaryFile(suffix=".wav") as one:
                subprocess.run(["flite", "-voice", "slt", "-t", sentence, "-o", one.name], check=True)
                with wave.open(one.name) as spoken:
                    assert spoken.getframerate() == RATE
                    frames = spoken.readframes(spoken.getnframes())
            if left is None:
                said.writeframes(frames + PAUSE)
                continue
            said.writeframes(frames[:left])
            left -= min(left, len(frames))


if __name__ == "__main__":
    say(sys.argv[1])
