"""Line charts with logarithmic axes as SVG, without a package to install."""

import math

WIDTH, HEIGHT = 460, 320  # of one chart
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 40, 48
# Read on light and on dark pages, as is the grey of all text and lines.
COLOURS = ["#e8590c", "#1c7ed6", "#2f9e44", "#ae3ec9"]
GREY = "#868686"


def side_by_side(charts):
    """charts: (title, x axis, y axis, name to points); names have the same colour in all."""
    names = list(dict.fromkeys(name for chart in charts for name in chart[3]))
    colours = dict(zip(names, COLOURS))
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * len(charts)} {HEIGHT + 24}" '
             f'font-family="sans-serif" font-size="12" fill="{GREY}">']
    for index, chart in enumerate(charts):
        parts += [f'<g transform="translate({index * WIDTH},0)">', *one(*chart, colours), "</g>"]
    for index, name in enumerate(names):
        x = LEFT + 130 * index
        parts.append(f'<line x1="{x}" x2="{x + 20}" y1="{HEIGHT + 8}" y2="{HEIGHT + 8}" stroke="{colours[name]}" stroke-width="3"/>'
                     f'<text x="{x + 26}" y="{HEIGHT + 12}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])


def one(title, x_name, y_name, series, colours):
    points = [point for own in series.values() for point in own]
    least_x, most_x = (bound(math.log10(point[0]) for point in points) for bound in (min, max))
    least_y, most_y = math.floor(min(math.log10(point[1]) for point in points)), math.ceil(max(math.log10(point[1]) for point in points))

    def x_of(value):
        return LEFT + (math.log10(value) - least_x) / max(most_x - least_x, 1e-9) * (WIDTH - LEFT - RIGHT)

    def y_of(value):
        return HEIGHT - BOTTOM - (math.log10(value) - least_y) / max(most_y - least_y, 1e-9) * (HEIGHT - TOP - BOTTOM)

    bottom = HEIGHT - BOTTOM
    yield f'<text x="{LEFT}" y="20" font-size="14" font-weight="bold">{title}</text>'
    for exponent in range(least_y, most_y + 1):
        for digit in (1, 2, 5) if exponent < most_y else (1,):
            value = digit * 10.0**exponent
            yield (f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y_of(value):.1f}" y2="{y_of(value):.1f}" stroke="{GREY}" '
                   f'stroke-opacity="{0.5 if digit == 1 else 0.2}"/>'
                   f'<text x="{LEFT - 6}" y="{y_of(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    for exponent in range(math.ceil(least_x), math.floor(most_x) + 1):
        x = x_of(10.0**exponent)
        yield (f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}" stroke="{GREY}" stroke-opacity="0.2"/>'
               f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">10<tspan dy="-4" font-size="9">{exponent}</tspan></text>')
    yield f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{bottom + 36}" text-anchor="middle">{x_name}</text>'
    yield f'<text transform="translate(14,{(TOP + bottom) / 2}) rotate(-90)" text-anchor="middle">{y_name}</text>'
    for name, own in series.items():
        places = [(x_of(x), y_of(y)) for x, y in own]
        yield (f'<polyline fill="none" stroke="{colours[name]}" stroke-width="2" points="'
               + " ".join(f"{x:.1f},{y:.1f}" for x, y in places) + '"/>')
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colours[name]}"/>' for x, y in places)
