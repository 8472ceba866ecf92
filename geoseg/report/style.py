"""Colours and the style sheet of pages. What the charts and the page share is said here once."""

from __future__ import annotations

from types import MappingProxyType

LIGHT = MappingProxyType(
    {
        "ink": "#1b2431",
        "muted": "#5c6673",
        "line": "#d6dbe1",
        "accent": "#0b6cb3",
        "second": "#c9510c",
        "soft": "#a8cbe7",
        "on-accent": "#fefeff",
        "on-half": "#1b2432",
        "page": "#ffffff",
        "panel": "#f4f6f8",
    }
)
"""Colours on white. Text and page reach a contrast of 4.5 and more; blue and vermilion are told
apart by everybody, the red-green blind included.
"""

DARK = MappingProxyType(
    {
        "ink": "#e6eaef",
        "muted": "#a0aab6",
        "line": "#39424e",
        "accent": "#5db3f0",
        "second": "#f59a5c",
        "soft": "#2c5678",
        "on-accent": "#0d1116",
        "on-half": "#0d1117",
        "page": "#12171d",
        "panel": "#1c232b",
    }
)
"""The same on near-black."""


def variables(colors: MappingProxyType[str, str]) -> str:
    """Write colours as CSS custom properties."""
    return "".join(f"--{name}:{color};" for name, color in colors.items())


THEME = (
    f":root{{color-scheme:light dark;{variables(LIGHT)}}}"
    f"@media screen and (prefers-color-scheme:dark){{:root{{{variables(DARK)}}}}}"
)
"""Style that follows the reader's choice of light or dark; printed pages are light."""

SHEET = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0 auto;padding:1.5rem clamp(1rem,4vw,2.5rem) 4rem;max-width:72rem;
 font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",sans-serif;
 color:var(--ink);background:var(--page);overflow-wrap:break-word}
header{border-bottom:2px solid var(--ink);margin-bottom:1.25rem;padding-bottom:.75rem}
h1{font-size:clamp(1.5rem,4.5vw,2.1rem);line-height:1.2;margin:0 0 .3rem}
h2{font-size:1.3rem;line-height:1.3;margin:2.5rem 0 .6rem;padding-top:.2rem}
section:first-child h2{margin-top:1.5rem}
h3{font-size:1.05rem;line-height:1.35;margin:1.75rem 0 .4rem}
p,ul{max-width:44rem;margin:.5rem 0}
ul{padding-left:1.2rem}
li{margin:.3rem 0}
header p{color:var(--muted);margin:0;max-width:none}
nav{display:flex;flex-wrap:wrap;gap:.25rem 1.1rem;font-size:.92rem}
nav a,a{color:var(--accent)}
footer{margin-top:3.5rem;padding-top:.75rem;border-top:1px solid var(--line);
 color:var(--muted);font-size:.88rem}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.75rem;
 margin:1.25rem 0}
.facts div{background:var(--panel);border-radius:.5rem;padding:.7rem .9rem}
.facts dt{color:var(--muted);font-size:.86rem}
.facts dd{margin:0}
.facts dd.value{font-size:1.5rem;white-space:nowrap;line-height:1.25;font-weight:600;
 font-variant-numeric:tabular-nums}
.facts dd.note{color:var(--muted);font-size:.84rem;line-height:1.35}
figure{margin:1.25rem 0;min-width:0}
figcaption{color:var(--muted);font-size:.9rem;line-height:1.45;max-width:44rem;margin-top:.35rem}
figcaption.above{margin:0 0 .35rem}
figcaption strong{color:var(--ink)}
figure img{display:block;width:auto;max-width:100%;height:auto}
.grid img,.strip img{width:100%}
.grid img{max-width:36rem}
.scroll{overflow-x:auto;max-width:100%;
 background:linear-gradient(90deg,transparent,var(--page) 70%) right/3rem 100% no-repeat local,
 linear-gradient(90deg,transparent,var(--line)) right/1rem 100% no-repeat scroll}
.scroll:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,25rem),1fr));
 gap:1.25rem 2rem;margin:1rem 0}
.grid figure{margin:0}
.pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,15.5rem),15.5rem));
 gap:.35rem 1.2rem;margin:.8rem 0}
.pictures figure{margin:0 0 .65rem;display:grid;grid-row:span 2;grid-template-rows:subgrid}
.pictures figure>:first-child{align-self:end}
.pictures img{max-height:15rem}
.strip{margin:1.5rem 0 1.9rem;break-inside:avoid}
.strip .row{display:grid;grid-template-columns:repeat(4,minmax(0,1fr));gap:.6rem}
.strip figure{margin:0}
.strip figcaption{margin-top:.25rem;font-size:.84rem}
.strip img{image-rendering:pixelated;border-radius:.25rem;background:var(--panel)}
.strip p{margin:0 0 .4rem}
.strip .row+.row{margin-top:.7rem}
.key{display:flex;flex-wrap:wrap;gap:.3rem 1.1rem;padding:0;margin:.9rem 0;list-style:none;
 max-width:none;font-size:.9rem}
.key li{margin:0}
.ramp{max-width:26rem;margin:.9rem 0;font-size:.9rem;break-inside:avoid}
.ramp p{margin:0 0 .25rem}
.ramp .bar{height:.85rem;border-radius:.15rem;
 border:1px solid color-mix(in srgb,var(--ink) 45%,transparent);
 print-color-adjust:exact;-webkit-print-color-adjust:exact}
.ramp .ends{display:flex;font-variant-numeric:tabular-nums}
.ramp .ends span{flex:1;text-align:center}
.ramp .ends span:first-child{text-align:left}
.ramp .ends span:last-child{text-align:right}
.swatch{display:inline-block;width:.85em;height:.85em;margin-right:.45em;border-radius:.15em;
 vertical-align:-.06em;border:1px solid color-mix(in srgb,var(--ink) 45%,transparent);
 print-color-adjust:exact;-webkit-print-color-adjust:exact}
table{border-collapse:separate;border-spacing:0;font-size:.92rem;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--muted);font-size:.9rem;padding-bottom:.4rem}
th,td{padding:.32rem .6rem;text-align:left;vertical-align:top;
 border-top:1px solid var(--line)}
tbody tr:first-child :is(th,td){border-top:0}
thead th{border-top:0;border-bottom:1.5px solid var(--ink);vertical-align:bottom;font-weight:600}
tbody th{font-weight:400;white-space:nowrap}
thead th:first-child,tbody th{position:sticky;left:0;background:var(--page)}
.dense{font-size:.84rem}
.dense th,.dense td{padding:.3rem .42rem}
:is(th,td):first-child{padding-left:0!important}
.right{text-align:right;white-space:nowrap}
thead .right{white-space:normal}
.best{font-weight:700}
.best{position:relative}
.best::after{content:"★";color:var(--accent);font-size:.75em;position:absolute;left:100%;top:.1em;
 padding-left:.1em}
.spread{display:block;color:var(--muted);font-size:.85em}
.muted{color:var(--muted)}
details{margin:1rem 0}
summary{cursor:pointer;color:var(--accent)}
@media (max-width:40rem){
 tbody th{white-space:normal;min-width:7.5rem}
 .strip .row{grid-template-columns:repeat(2,minmax(0,1fr))}
 .wide img{max-width:none}
 .facts dd.value{font-size:1.35rem}
 .facts{grid-template-columns:repeat(2,minmax(0,1fr))}
}
@media print{
 @page{margin:16mm}
 body{max-width:none;padding:0;font-size:10.5pt}
 nav{display:none}
 h2,h3{break-after:avoid}
 figure,.facts,tr{break-inside:avoid}
 thead{display:table-header-group}
 .scroll{overflow:visible;background:none}
 thead th:first-child,tbody th{position:static}
 .facts{grid-template-columns:repeat(5,1fr);gap:.4rem}
 .facts div{border:1px solid var(--line);padding:.5rem .6rem}
 .facts dd.value{font-size:1.15rem}
 .grid{grid-template-columns:repeat(2,minmax(0,1fr))}
}
"""
