"""Prints how many tests of a JUnit report passed, failed and were skipped: `12 0 1`."""

import sys
import xml.etree.ElementTree as ElementTree


def counts(path):
    try:
        cases = list(ElementTree.parse(path).iter("testcase"))
    except (OSError, ElementTree.ParseError):
        return 0, 0, 0
    failed = sum(1 for case in cases if case.find("failure") is not None or case.find("error") is not None)
    skipped = sum(1 for case in cases if case.find("skipped") is not None)
    return len(cases) - failed - skipped, failed, skipped


print(*counts(sys.argv[1]))
