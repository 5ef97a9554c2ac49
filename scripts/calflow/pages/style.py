"""How pages look, light and dark; no judgement is told by its colour alone."""

STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1c2024; --soft: #5b636b; --line: #d5dade; --card: #f5f7f8;
  --fine: #00734f; --look: #8a5a00; --wrong: #b3261e; --a: #0072b2; --b: #d55e00; --c: #009e73; --mark: #b3457f; }
@media (prefers-color-scheme: dark) { :root { --paper: #15181b; --ink: #e6e9ec; --soft: #a3abb3; --line: #3a4148;
  --card: #1e2327; --fine: #4cc79a; --look: #e5a93c; --wrong: #ff8a80; --a: #56b4e9; --b: #ff9d4d; --c: #4cc79a;
  --mark: #e08fbb; } img { filter: brightness(0.88); } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto; padding: 1rem;
  max-width: 1240px; }
h1 { font-size: 1.4rem; margin: 0.2rem 0; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin: 1.8rem 0 0.4rem;
  border-bottom: 1px solid var(--line); }
p { margin: 0.3rem 0; } .soft, figcaption { color: var(--soft); font-size: 0.88rem; }
.fine { color: var(--fine); } .look { color: var(--look); } .wrong { color: var(--wrong); }
.word { font-weight: 700; white-space: nowrap; }
table { border-collapse: collapse; font-size: 0.88rem; } th, td { text-align: left; padding: 0.2rem 0.7rem 0.2rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top; } td.number, th.number { text-align: right; }
.wide { overflow-x: auto; } .cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(230px, 1fr));
  gap: 0.7rem; margin: 0.8rem 0; } .card { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 0.6rem 0.8rem; overflow-wrap: anywhere; } .card b { display: block; } .charts { display: grid;
  grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); gap: 0.8rem; } figure { margin: 0; }
img { max-width: 100%; height: auto; background: #fff; border-radius: 4px; } details { margin: 0.3rem 0; }
summary { cursor: pointer; overflow-wrap: anywhere; } code { overflow-wrap: anywhere; }
svg.chart { width: 100%; height: auto; background: var(--card); border-radius: 6px; }
.chart text { fill: var(--ink); font-size: 11px; } .chart .small { fill: var(--soft); font-size: 10px; }
.chart .title { font-size: 12px; font-weight: 700; } .chart .axis { fill: none; stroke: var(--soft); }
.chart .grid { stroke: var(--line); stroke-width: 0.6; } .chart .a { fill: var(--a); fill-opacity: 0.8; }

.chart .back { fill: var(--soft); fill-opacity: 0.22; }
.chart .b { fill: none; stroke: var(--b); stroke-width: 1.3; } .chart .line { stroke: var(--a); stroke-width: 1.1; }
.chart .mark { stroke: var(--mark); stroke-width: 1.6; stroke-dasharray: 5 3; }
.chart .frame { fill: var(--a); fill-opacity: 0.07; stroke: var(--a); stroke-width: 1.1; }
.chart .left { fill: none; stroke: var(--b); stroke-dasharray: 4 3; stroke-width: 1.3; }
.thumbs { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 0.6rem; font-size: 0.75rem;
  overflow-wrap: anywhere; } a { color: var(--a); }
@media print { body { max-width: none; } details { break-inside: avoid; } }
"""
