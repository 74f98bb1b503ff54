"""Making tones, and judging what was heard."""

import wave

import numpy as np

RATE = 8000


def write_tone(path, hz, seconds=30.0, level=0.5, rate=RATE):
    time = np.arange(int(seconds * rate)) / rate
    return write(path, level * 32767 * np.sin(2 * np.pi * hz * time), rate)


def write(path, samples, rate=RATE):
    """A mono WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.asarray(samples).astype("<i2").tobytes())
    return path


def read(path):
    """Samples (int16, one row a channel) and rate. A file still open by its writer may have a wrong length."""
    raw = open(path, "rb").read()
    channels = int.from_bytes(raw[22:24], "little")
    rate = int.from_bytes(raw[24:28], "little")
    data = raw[raw.index(b"data") + 8 :]
    data = data[: len(data) // (2 * channels) * 2 * channels]
    return np.frombuffer(data, "<i2").reshape(-1, channels).T, rate


def frequency(samples, rate=RATE):
    """The strongest frequency in Hz, by a parabola through the peak of the windowed spectrum."""
    samples = np.asarray(samples, dtype=float)
    spectrum = np.log(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) + 1e-9)
    peak = int(np.argmax(spectrum[1:-1])) + 1
    left, middle, right = spectrum[peak - 1 : peak + 2]
    offset = 0.5 * (left - right) / (left - 2 * middle + right)
    return (peak + offset) * rate / len(samples)


def strength(samples, hz, rate=RATE):
    """How much there is of a frequency, give or take 20 Hz; to be compared with that of others."""
    spectrum = np.abs(np.fft.rfft(np.asarray(samples, dtype=float) * np.hanning(len(samples))))
    return float(np.max(spectrum[np.abs(np.fft.rfftfreq(len(samples), 1 / rate) - hz) < 20]))


def loudness(samples):
    """RMS of 20 ms pieces, 0..32767."""
    samples = np.asarray(samples, dtype=float)
    pieces = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    return np.sqrt(np.mean(pieces**2, axis=1))


def longest_silence(samples, rate=RATE, floor=200):
    """Milliseconds of the longest stretch below `floor` between the first and last sound."""
    loud = np.flatnonzero(np.abs(np.asarray(samples, dtype=int)) > floor)
    return 0.0 if len(loud) < 2 else float(np.max(np.diff(loud)) - 1) * 1000 / rate


def is_clipped(samples, ceiling=32000):
    """Whether any run of three samples stands at the ceiling."""
    at = np.abs(np.asarray(samples, dtype=int)) >= ceiling
    return bool(np.any(at[:-2] & at[1:-1] & at[2:]))


def from_ulaw(octets):
    """G.711 mu-law to linear."""
    code = ~np.frombuffer(octets, np.uint8)
    magnitude = (((code & 0x0F).astype(int) << 3) + 0x84) << ((code & 0x70) >> 4)
    return np.where(code & 0x80, 0x84 - magnitude, magnitude - 0x84).astype(np.int16)


def to_ulaw(samples):
    """Linear to G.711 mu-law."""
    samples = np.clip(np.asarray(samples, dtype=int), -32635, 32635)
    sign = np.where(samples < 0, 0x80, 0)
    magnitude = np.abs(samples) + 0x84
    exponent = np.clip(np.floor(np.log2(magnitude)).astype(int) - 7, 0, 7)
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    return (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8).tobytes()


def level(samples):
    """The peak of a sine as loud, in decibels below full scale."""
    power = float(np.mean(np.asarray(samples, dtype=float) ** 2))
    return 10 * np.log10(max(2 * power, 1e-3)) - 20 * np.log10(32767)


def stretches(samples, rate=RATE, floor=300, gap=0.2):
    """`[(start, end)]` of the sounds in between which `gap` seconds of silence lie."""
    loud = np.flatnonzero(np.abs(np.asarray(samples, dtype=int)) > floor)
    if len(loud) == 0:
        return []
    cuts = np.flatnonzero(np.diff(loud) > gap * rate)
    starts, ends = np.r_[loud[0], loud[cuts + 1]], np.r_[loud[cuts], loud[-1]]
    return list(zip(starts.tolist(), (ends + 1).tolist()))
