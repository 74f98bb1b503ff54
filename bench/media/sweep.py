"""The signal that is sent through every pair of codecs: a sweep, a tone, keys in noise. 16,000 samples per second."""

import sys
import wave

import numpy as np

RATE = 16_000
#: Seconds: where each part begins, and how long it lasts. Between them it is silent.
SWEEP = (0.5, 8.0)
TONE = (9.0, 6.0)
KEYS = (15.5, 5.2)
LENGTH = 22.0
#: From one end of the sweep to the other.
BAND = (100.0, 7_800.0)
TONE_HZ = 1_004.0
#: Decibels below full scale, of the peak.
LEVEL = -12.0
KEYS_SENT = "123A456B789C*0#D" * 2
#: Each of 80 ms, and so much after it; decibels of each of its tones above the noise.
KEY_SECONDS = 0.08
SNR = 15.0


def amplitude(decibels):
    return 10 ** (decibels / 20)


def sweep(seconds):
    t = np.arange(int(seconds * RATE)) / RATE
    growth = np.log(BAND[1] / BAND[0]) / seconds
    phase = 2 * np.pi * BAND[0] * np.expm1(growth * t) / growth
    edge = np.clip(np.minimum(t, seconds - t) / 0.02, 0, 1)
    return np.sin(phase) * edge * amplitude(LEVEL)


def keys(random):
    low, high = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
    t = np.arange(int(KEY_SECONDS * RATE)) / RATE
    parts = []
    for key in KEYS_SENT:
        row, column = divmod("123A456B789C*0#D".index(key), 4)
        both = np.sin(2 * np.pi * low[row] * t) + np.sin(2 * np.pi * high[column] * t)
        parts += [both * amplitude(LEVEL - 6), np.zeros(len(t))]
    said = np.concatenate(parts)
    # White in the band of the telephone: what is beyond no G.711 hears.
    noise = np.fft.rfft(random.standard_normal(len(said)))
    hz = np.fft.rfftfreq(len(said), 1 / RATE)
    noise = np.fft.irfft(noise * ((hz > 300) & (hz < 3400)), len(said))
    tone_power = amplitude(LEVEL - 6) ** 2 / 2
    return said + noise / noise.std() * np.sqrt(tone_power / 10 ** (SNR / 10))


def make():
    said = np.zeros(int(LENGTH * RATE))

    def put(at, samples):
        said[int(at * RATE) :][: len(samples)] = samples

    put(SWEEP[0], sweep(SWEEP[1]))
    t = np.arange(int(TONE[1] * RATE)) / RATE
    put(TONE[0], np.sin(2 * np.pi * TONE_HZ * t) * amplitude(LEVEL))
    put(KEYS[0], keys(np.random.default_rng(1)))
    return said


def main(path):
    with wave.open(path, "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((make() * 32767).astype("<i2").tobytes())


if __name__ == "__main__":
    main(sys.argv[1])
