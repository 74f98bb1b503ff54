"""Programs that tests start."""

import subprocess


def end(process):
    """Asks a program to end, and makes it when it does not."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
