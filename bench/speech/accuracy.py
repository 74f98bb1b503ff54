"""Words spoken by five voices, and what pocketsphinx makes of them."""

import itertools
import subprocess
import tempfile
from pathlib import Path

MODEL = Path("/usr/share/pocketsphinx/model/en-us")
VOICES = ["festival", "en-us+f3", "en-us+m3", "en-gb+m1", "en-us+f2"]
PHRASES = [
    "sales", "support", "opening hours", "yes", "no", "billing", "operator", "cancel", "repeat", "new order",
    "delivery", "technical problem", "speak to an agent", "change my address", "account balance", "leave a message",
    "help", "previous menu", "next", "good bye",
]
SENTENCES = [
    "I would like to change the address of my order",
    "please call me back tomorrow in the afternoon",
    "the delivery has not arrived and nobody answers",
    "my account number is four seven one one",
    "can you tell me when the office is open",
]


def run(*command, stdin=None):
    return subprocess.run(command, input=stdin, capture_output=True, check=True).stdout


def speak(text, voice, path):
    if voice == "festival":
        path.write_bytes(run("text2wave", "-F", "16000", "-eval", "(voice_cmu_us_slt_arctic_hts)", stdin=text.encode()))
    else:
        raw = path.with_suffix(".raw.wav")
        run("espeak-ng", "-v", voice, "-w", raw, text)
        run("sox", raw, "-r", "16000", path, "pad", "0.3", "0.3")


def as_telephone(path):
    """300 to 3,400 Hz in mu-law, and back to 16 kHz."""
    narrow, out = path.with_suffix(".ul.wav"), path.with_suffix(".phone.wav")
    run("sox", path, "-r", "8000", "-e", "mu-law", narrow, "sinc", "300-3400")
    run("sox", narrow, "-r", "16000", "-e", "signed", "-b", "16", out)
    return out


def understood(path, grammar):
    more = ["-jsgf", grammar] if grammar else []
    dictionary = MODEL / "cmudict-en-us.dict"
    return run("pocketsphinx_continuous", "-infile", path, "-logfn", "/dev/null", "-dict", dictionary, *more).decode().strip()


def errors(said, heard):
    """Words wrong, missing and too many (Levenshtein)."""
    said, heard = said.lower().split(), heard.lower().split()
    row = list(range(len(heard) + 1))
    for i, a in enumerate(said, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(heard, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for count in (3, 10, 20):
            grammar = folder / f"{count}.gram"
            grammar.write_text(f"#JSGF V1.0;\ngrammar hints;\npublic <phrase> = {' | '.join(PHRASES[:count])};\n")
            right = {"wideband": 0, "telephone": 0}
            for index, (phrase, voice) in enumerate(itertools.product(PHRASES[:count], VOICES)):
                path = folder / f"{count}-{index}.wav"
                speak(phrase, voice, path)
                right["wideband"] += understood(path, grammar) == phrase
                right["telephone"] += understood(as_telephone(path), grammar) == phrase
            for band, good in right.items():
                print(f"grammar of {count:2} phrases, {band:9}: {good} of {count * len(VOICES)} right")
        for band in ("wideband", "telephone"):
            wrong = words = 0
            for index, (sentence, voice) in enumerate(itertools.product(SENTENCES, VOICES)):
                path = folder / f"s-{index}.wav"
                speak(sentence, voice, path)
                heard = understood(as_telephone(path) if band == "telephone" else path, None)
                wrong, words = wrong + errors(sentence, heard), words + len(sentence.split())
            print(f"dictation, {band:9}: {wrong} word errors in {words} words, {100 * wrong / words:.0f} %")


main()
