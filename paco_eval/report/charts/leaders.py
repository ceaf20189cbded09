"""The one table as a picture: a panel a column, a dot and an interval an encoder, best mean rank on top."""

from __future__ import annotations

from html import escape

from paco_eval.report.leaderboard.board import Entry, Head, Leaderboard, Score, shortened

NAMES, PANEL, GAP, ROW, TOP = 132, 150, 22, 22, 46
"""Pixels: width of the names and of a panel, space between panels, height of a row, space above them."""

INK, PALE, LEAD = "#1f2328", "#d0d7de", "#0b5cad"


def to_svg(board: Leaderboard) -> str:
    """Return an SVG of the table, on white; what is ahead is drawn strong, everything else in grey."""
    width = NAMES + len(board.heads) * (PANEL + GAP)
    height = TOP + ROW * len(board.entries) + 8
    body = [f'<rect width="{width}" height="{height}" fill="#fff"/>']
    for row, entry in enumerate(board.entries):
        y = TOP + ROW * row + ROW / 2
        weight = ' font-weight="600"' if entry.own or any(s and s.ahead for s in entry.scores) else ""
        name = shortened(entry.name, 20)
        body.append(f'<text x="{NAMES - 10}" y="{y + 4:g}" text-anchor="end"{weight}>{escape(name)}</text>')
    for place, head in enumerate(board.heads):
        body += _panel(head, board.entries, place, NAMES + place * (PANEL + GAP))
    told = "; ".join(claim.sentence for claim in board.claims)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" font-family="sans-serif" font-size="12" fill="{INK}"><title>{escape(told)}</title>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


def _panel(head: Head, entries: tuple[Entry, ...], place: int, left: int) -> list[str]:
    scores = [entry.scores[place] for entry in entries]
    ends = [
        end for score in scores if score for end in (score.value, score.low, score.high) if end is not None
    ]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    spread = (high - low) or 1.0

    def at(value: float) -> float:
        share = (value - low) / spread
        return left + 4 + (PANEL - 44) * (share if head.higher_is_better else 1 - share)  # better is right

    lines = [
        f'<text x="{left}" y="16" font-weight="600">{escape(head.title)}</text>',
        f'<text x="{left}" y="32" font-size="11">{escape(head.metric)} {head.arrow}</text>',
    ]
    for row, score in enumerate(scores):
        y = TOP + ROW * row + ROW / 2
        lines.append(f'<path d="M{left},{y:g}h{PANEL - 40}" stroke="{PALE}" stroke-width=".5"/>')
        if score is not None and score.value is not None:
            lines += _mark(
                head,
                score,
                y,
                at(score.value),
                None if score.low is None else at(score.low),
                None if score.high is None else at(score.high),
                left,
            )
    return lines


def _mark(
    head: Head, score: Score, y: float, x: float, low: float | None, high: float | None, left: int
) -> list[str]:
    ink = LEAD if score.ahead else "#6e7781"
    weight = ' font-weight="600"' if score.ahead else ""
    bar = []
    if low is not None and high is not None:
        bar = [
            f'<path d="M{min(low, high):.1f},{y:g}H{max(low, high):.1f}" stroke="{ink}" stroke-width="2"/>'
        ]
    number = (
        f'<text x="{left + PANEL}" y="{y + 4:g}" text-anchor="end"{weight}>{head.number(score.value)}</text>'
    )
    return [*bar, f'<circle cx="{x:.1f}" cy="{y:g}" r="4" fill="{ink}"/>', number]
