"""The plot: CPU a request of each proxy, and of ours as it grows, as bars in an SVG."""
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, BAR, GAP = 860, 200, 90, 16, 9
OURS, OTHERS = ("#0f766e", "#5eead4"), ("#475569", "#cbd5e1")
FONT = 'font-family="system-ui, sans-serif"'


class Drawing:
    """Grows downwards."""

    def __init__(self):
        self.parts, self.y = [], 0

    def text(self, x, y, text, size=12, anchor="start", weight="normal", fill="#0f172a"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" {FONT} font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" fill="{fill}">{escape(text)}</text>')

    def rect(self, x, y, width, height, fill):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}"/>')

    def line(self, x1, y1, x2, y2, colour="#0f172a", width=1):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>')

    def panel(self, title, rows):
        """A bar a row: user and system beside each other, a whisker from the lowest to the highest round."""
        rows = [row for row in rows if row["cpu_us"]]
        if not rows:
            return
        self.y += 34
        self.text(16, self.y, title, 14, weight="600")
        self.y += 12
        top, scale = self.y, (WIDTH - LEFT - RIGHT) / max(row["cpu_us"]["max"] for row in rows)
        for row in rows:
            self.bar(row, scale)
        self.line(LEFT, top, LEFT, self.y, "#94a3b8")

    def bar(self, row, scale):
        dark, light = OURS if row["name"].split(",")[0] == "ours" or row.get("is_ours") else OTHERS
        cost, user = row["cpu_us"], row["user_us"]["median"]
        middle = self.y + BAR / 2 + 4
        self.text(LEFT - 8, middle + 4, row["name"], anchor="end")
        self.rect(LEFT, self.y + 4, user * scale, BAR, dark)
        self.rect(LEFT + user * scale, self.y + 4, max(0, cost["median"] - user) * scale, BAR, light)
        low, high = (LEFT + cost[end] * scale for end in ("min", "max"))
        self.line(low, middle, high, middle)
        for end in (low, high):
            self.line(end, middle - 4, end, middle + 4)
        self.text(high + 8, middle + 4, f"{cost['median']:.1f} µs")
        self.y += BAR + GAP

    def legend(self):
        self.y += 28
        for number, (fill, what) in enumerate(((OURS[0], "ours, user"), (OURS[1], "ours, system"), (OTHERS[0], "others, user"), (OTHERS[1], "others, system"))):
            x = LEFT + number * 130
            self.rect(x, self.y - 10, 12, 12, fill)
            self.text(x + 18, self.y, what)
        self.y += 18
        self.text(LEFT, self.y, "Bars are medians; whiskers go from the lowest to the highest round.", 11, fill="#475569")
        self.y += 16

    def svg(self):
        head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{self.y:.0f}" viewBox="0 0 {WIDTH} {self.y:.0f}" role="img">'
        return "\n".join([head, "<title>CPU a request</title>", f'<rect width="{WIDTH}" height="{self.y:.0f}" fill="#ffffff"/>', *self.parts, "</svg>"]) + "\n"


def drawn(found):
    drawing = Drawing()
    rows = lambda part: found.get(part, {}).get("rows", [])
    drawing.panel("A, a plain proxy: CPU a request", rows("a"))
    drawing.panel("B, everything on (nginx and Traefik verify no tokens)", rows("b"))
    drawing.panel("A, with TLS 1.3 in front", [row for row in rows("tls") if "handshake" not in row["name"]])
    for what in ("routes", "endpoints", "tokens"):
        drawing.panel(f"B, with more {what}", [{**row, "is_ours": "nginx" not in row["name"]} for row in found.get("growth", {}).get(what, [])])
    drawing.legend()
    return drawing.svg()
