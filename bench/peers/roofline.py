#!/usr/bin/env python3
"""A roofline of external sorts, as SVG, from what bench/peers/run.py --json wrote.

    bench/peers/roofline.py FIGURES.json OUT.svg [--cores N]

Across: gigabytes sorted per core-second of CPU (how cheap the program is). Up: megabytes sorted per second of wall time. The
flat roof is the bare two-pass copy, the disk's limit; the slanted one is the cores' limit, N cores times the abscissa. A
program can be nowhere above the two; how far it stays below them is what its pipeline loses.
"""

import argparse
import json
import math
import os
import statistics

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 860, 520, 80, 70, 30, 30


def points_of(figures):
    gigabytes = figures["records"] * 100 / 1e9
    for peer in figures["rounds"][0]:
        rounds = [r[peer] for r in figures["rounds"]]
        seconds = statistics.median(r.get("own_elapsed_s", r["elapsed_s"]) for r in rounds)
        cpu_s = statistics.median(r["cpu_s"] for r in rounds)
        yield peer, gigabytes / cpu_s, gigabytes * 1000 / seconds


class Axis:
    def __init__(self, low, high, begin, end):
        self.low, self.high, self.begin, self.end = math.log10(low), math.log10(high), begin, end

    def at(self, value):
        return self.begin + (math.log10(value) - self.low) / (self.high - self.low) * (self.end - self.begin)

    def ticks(self):
        for power in range(math.floor(self.low), math.ceil(self.high) + 1):
            for digit in (1, 2, 5):
                value = digit * 10.0 ** power
                if self.low - 1e-9 <= math.log10(value) <= self.high + 1e-9:
                    yield value


class Labels:
    """Texts that keep off each other and off the points."""

    def __init__(self, points):
        self.taken = [(x - 7, y - 7, x + 7, y + 7) for x, y in points]

    def place(self, text, candidates):
        """The first of the candidates, each (x, y) of the text's left lower corner, that overlaps least."""
        def box(at):
            return at[0], at[1] - 12, at[0] + 7.5 * len(text), at[1] + 4

        def overlap(at):
            a = box(at)
            outside = a[0] < LEFT or a[2] > WIDTH - RIGHT or a[1] < TOP or a[3] > HEIGHT - BOTTOM
            return outside + sum(a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3] for b in self.taken)
        best = min(candidates, key=overlap)
        self.taken.append(box(best))
        return f'x="{best[0]:.1f}" y="{best[1]:.1f}"'


def draw(points, cores):
    peers = [p for p in points if p[0] != "copy"]
    roof = next((rate for name, _, rate in points if name == "copy"), None)
    x = Axis(min(p[1] for p in peers) / 2, max(p[1] for p in peers) * 3, LEFT, WIDTH - RIGHT)
    rates = [p[2] for p in points]
    y = Axis(min(rates) / 2, max(rates) * 2, HEIGHT - BOTTOM, TOP)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           f'<clipPath id="area"><rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - BOTTOM - TOP}"/></clipPath>']
    for value in x.ticks():
        out.append(f'<path d="M{x.at(value):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#e4e4e4"/>'
                   f'<text x="{x.at(value):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{value:g}</text>')
    for value in y.ticks():
        out.append(f'<path d="M{LEFT} {y.at(value):.1f}H{WIDTH - RIGHT}" stroke="#e4e4e4"/>'
                   f'<text x="{LEFT - 8}" y="{y.at(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    out.append(f'<text x="{(WIDTH + LEFT) / 2}" y="{HEIGHT - 18}" text-anchor="middle">GB sorted per core-second</text>')
    out.append(f'<text transform="translate(20 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">MB/s sorted</text>')
    left, right = 10 ** x.low, 10 ** x.high
    out.append(f'<path clip-path="url(#area)" d="M{x.at(left):.1f} {y.at(cores * left * 1000):.1f}L{x.at(right):.1f} {y.at(cores * right * 1000):.1f}" '
               'stroke="#b5482a" stroke-width="2" fill="none"/>')
    if roof:
        out.append(f'<path d="M{LEFT} {y.at(roof):.1f}H{WIDTH - RIGHT}" stroke="#2a62b5" stroke-width="2"/>')
    labels = Labels([(x.at(p[1]), y.at(p[2])) for p in peers])
    for name, per_core_second, rate in peers:
        px, py = x.at(per_core_second), y.at(rate)
        mine, wide = name.startswith("sluice"), 7.5 * len(name) + 9
        at = labels.place(name, [(px + 9, py + 16), (px + 9, py - 8), (px - wide, py + 16), (px - wide, py - 8)])
        out.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="5" fill="{"#1c7c4a" if mine else "#555"}"/>'
                   f'<text {at}{" font-weight=" + chr(34) + "bold" + chr(34) if mine else ""}>{name}</text>')
    along = [10 ** (x.low + part / 20 * (x.high - x.low)) for part in range(1, 18)]
    text = f"{cores} core(s), fully busy"
    at = labels.place(text, [(x.at(one) + 14, y.at(cores * one * 1000) + 10) for one in along])
    out.append(f'<text {at} fill="#b5482a">{text}</text>')
    if roof:
        text = "disk: bare two-pass copy"
        at = labels.place(text, [(WIDTH - RIGHT - 170, y.at(roof) - 8), (LEFT + 6, y.at(roof) - 8), (WIDTH - RIGHT - 170, y.at(roof) + 16)])
        out.append(f'<text {at} fill="#2a62b5">{text}</text>')
    out.append("</svg>")
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures")
    parser.add_argument("picture")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    with open(arguments.figures) as file:
        figures = json.load(file)[-1]   # the largest size
    with open(arguments.picture, "w") as file:
        file.write(draw(list(points_of(figures)), arguments.cores))


main()
