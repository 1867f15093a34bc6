"""The report page's style sheet, its colors those of :mod:`mien.figures.style`."""

from __future__ import annotations

from mien.figures import style
from mien.figures.saving import variable


def css() -> str:
    """Return the style sheet, for light and for dark screens, small ones and paper."""
    return f":root{{color-scheme:light dark;{_variables(False)}}}\n{_RULES}\n{_DARK}".replace(
        "DARK-VARIABLES", _variables(True)
    )


def _variables(dark: bool) -> str:
    return "".join(f"{variable(light)}:{other if dark else light};" for light, other in style.DARK.items())


def _named(rules: str) -> str:
    for name in ("INK", "MUTED", "RULE", "FAINT", "PAPER"):
        rules = rules.replace(f"var({name})", f"var({variable(getattr(style, name))})")
    return rules.replace("var(ACCENT)", f"var({variable(style.SERIES[0])})")


_DARK = "@media screen and (prefers-color-scheme:dark){:root{DARK-VARIABLES}}"

# exact pixels matter to sheets of pixels: they are never shrunk, their frame scrolls
_RULES = _named("""
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
body{margin:0;background:var(PAPER);color:var(INK);
 font:16px/1.6 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
a{color:var(ACCENT);text-underline-offset:.2em}
a:focus-visible,.scroll:focus-visible{outline:2px solid var(ACCENT);outline-offset:3px;border-radius:2px}
.skip{position:absolute;left:-99em}
.skip:focus{left:1rem;top:1rem;background:var(PAPER);padding:.4rem .8rem;z-index:1}
.whole{max-width:1052px;margin:0 auto;padding:0 1.25rem 5rem}
header{padding:3.5rem 0 1.75rem;border-bottom:1px solid var(RULE)}
h1{font-size:clamp(1.8rem,1.2rem + 2.6vw,2.75rem);line-height:1.15;letter-spacing:-.02em;margin:0;
 overflow-wrap:anywhere;text-wrap:balance}
.subtitle{margin:.75rem 0 0;font-size:1.1rem;color:var(MUTED);max-width:44rem;overflow-wrap:anywhere}
nav h2{font-size:.78rem;letter-spacing:.08em;text-transform:uppercase;color:var(MUTED);margin:0 0 .5rem}
nav{margin:1.75rem 0 0}
nav ol{margin:0;padding:0;list-style:none;counter-reset:s}
nav li{counter-increment:s;overflow-wrap:anywhere}
nav a{display:flex;gap:.6rem;padding:.18rem 0;color:var(INK);text-decoration:none}
nav a::before{content:counter(s);color:var(MUTED);min-width:1.2rem;text-align:right;
 font-variant-numeric:tabular-nums}
nav a:hover{color:var(ACCENT);text-decoration:underline}
section{padding:2.25rem 0 .25rem;scroll-margin-top:.5rem}
section>h2{font-size:1.5rem;line-height:1.25;letter-spacing:-.01em;margin:0 0 .6rem;overflow-wrap:anywhere}
p{margin:0 0 1rem;max-width:44rem;overflow-wrap:anywhere;white-space:pre-line}
figure{margin:1.25rem 0 2rem;min-width:0}
figcaption{font-size:.9rem;line-height:1.5;color:var(MUTED);text-align:left;max-width:44rem;
 overflow-wrap:anywhere}
.scroll+figcaption{margin-top:.6rem}
figcaption+.scroll{margin-top:.5rem}
figcaption b{color:var(INK);font-weight:600}
.scroll{overflow-x:auto;max-width:100%}
.plate{display:block;max-width:100%;height:auto;fill:var(INK)}
.plate *{stroke-linejoin:round;stroke-linecap:butt}
.pixels{display:block;image-rendering:pixelated}
table{border-collapse:collapse;font-size:.94rem;font-variant-numeric:tabular-nums lining-nums;
 border-top:1.5px solid var(INK);border-bottom:1.5px solid var(INK)}
th,td{padding:.4rem .9rem;text-align:left;vertical-align:baseline}
th:first-child,td:first-child{padding-left:.25rem}
thead th{border-bottom:1px solid var(MUTED);font-weight:600;white-space:nowrap}
tbody th{font-weight:400;min-width:7.5rem}
tbody tr+tr>*{border-top:1px solid var(FAINT)}
.n{text-align:right;white-space:nowrap}
@media (min-width:46rem){nav ol{columns:2;column-gap:2.5rem}nav li{break-inside:avoid}}
@media (max-width:30rem){header{padding-top:2rem}.whole{padding:0 1rem 3rem}th,td{padding:.4rem .55rem}}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
@media print{nav,.skip{display:none}.whole{max-width:none;padding:0}figure{break-inside:avoid}
 .scroll{overflow:visible}.plate{min-width:0!important}}
""").strip()
