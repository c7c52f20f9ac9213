"""The pages' style sheet: one for wide and narrow, light and dark. Nothing is loaded from elsewhere."""

from typing import Final

CSS: Final = """
:root{color-scheme:light dark;
--bg:#f6f7f9;--card:#fff;--ink:#1b2230;--dim:#5c6675;--line:#e3e7ed;--hover:#f1f4f8;--code:#f3f5f8;
--red:#b3261e;--redbg:#fdeceb;--mag:#8e2487;--magbg:#f9eaf8;--amb:#8a5a00;--ambbg:#fdf3dc;
--blu:#1d5fa8;--blubg:#e8f1fb;--gry:#56606e;--grybg:#eceff3;--grn:#1c6e3d;--grnbg:#e6f5ec}
@media (prefers-color-scheme:dark){:root{
--bg:#12161d;--card:#1a202a;--ink:#e5e9f0;--dim:#99a4b3;--line:#2b3441;--hover:#212936;--code:#141a22;
--red:#ff8a80;--redbg:#3d1d1d;--mag:#f0a0ea;--magbg:#371d36;--amb:#f3c169;--ambbg:#372a10;
--blu:#8fc1f7;--blubg:#16293f;--gry:#a9b3c0;--grybg:#28303c;--grn:#7fd6a0;--grnbg:#15301f}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
.page{max-width:84rem;margin:0 auto;padding:1.5rem clamp(.75rem,3vw,2rem) 3rem}
header{display:flex;flex-wrap:wrap;align-items:baseline;gap:.25rem 1rem;margin-bottom:1.1rem}
h1{margin:0;font-size:1.35rem;letter-spacing:-.01em}h1 a{color:inherit;text-decoration:none}
h2{font-size:1.15rem;margin:0;overflow-wrap:anywhere}
.sub{color:var(--dim);margin:0}.sub a{color:var(--blu)}
.tiles{display:flex;flex-wrap:wrap;gap:.6rem;list-style:none;margin:0 0 1rem;padding:0}
.tiles a{display:block;min-width:6.4rem;padding:.55rem .9rem .6rem;border:1px solid var(--line);border-radius:10px;
background:var(--card);color:var(--ink);text-decoration:none;border-left:4px solid var(--c,var(--line))}
.tiles a:hover{background:var(--hover)}.tiles a[aria-current]{outline:2px solid var(--c,var(--dim));outline-offset:1px}
.tiles b{display:block;font-size:1.5rem;line-height:1.2;font-variant-numeric:tabular-nums;color:var(--c,var(--ink))}
.tiles span{font-size:.72rem;letter-spacing:.06em;text-transform:uppercase;color:var(--dim)}
.drifted{--c:var(--red);--cb:var(--redbg)}.tainted{--c:var(--mag);--cb:var(--magbg)}
.unverified,.stale{--c:var(--amb);--cb:var(--ambbg)}.outdated,.expired{--c:var(--blu);--cb:var(--blubg)}
.silent{--c:var(--gry);--cb:var(--grybg)}.clean{--c:var(--grn);--cb:var(--grnbg)}
.facts{display:flex;flex-wrap:wrap;align-items:center;gap:.35rem 1.6rem;color:var(--dim);
margin:0 0 1rem;font-size:.92rem}
.facts b{color:var(--ink);font-weight:600}
meter{width:7rem;height:.7rem;vertical-align:middle;margin-left:.4rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:12px;overflow:auto hidden}
table{border-collapse:collapse;width:100%}
th{font-size:.72rem;letter-spacing:.06em;text-transform:uppercase;text-align:left;color:var(--dim);font-weight:600}
th,td{padding:.6rem .8rem;vertical-align:top;border-bottom:1px solid var(--line)}
tbody tr:last-child td{border-bottom:0}tbody tr:hover{background:var(--hover)}
td{overflow-wrap:anywhere;max-width:18rem}td:nth-child(2){min-width:14rem}
td[data-label=Image],td[data-label=Group]{min-width:6.5rem;max-width:12rem}.why{max-width:none}
td a{color:inherit;font-weight:600;text-decoration:none}td a:hover{text-decoration:underline}
small{display:block;color:var(--dim);font-size:.85em}
.state{display:inline-block;padding:.1rem .55rem;border-radius:99px;font-size:.72rem;font-weight:700;
letter-spacing:.05em;text-transform:uppercase;color:var(--c);background:var(--cb);white-space:nowrap}
.num{white-space:nowrap;font-variant-numeric:tabular-nums}.why{min-width:14rem}
td.changes{min-width:7rem}
.changes span{display:inline-block;margin-right:.45rem;white-space:nowrap;font-variant-numeric:tabular-nums}
.note,.empty{padding:1.1rem;margin:0;color:var(--dim)}
code,pre,.key,.item dd{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.86em}
.item{padding:.9rem 1.1rem;border-bottom:1px solid var(--line)}.item:last-child{border-bottom:0}
.item p{margin:0}.key{font-weight:600;overflow-wrap:anywhere}
.added{--c:var(--grn)}.removed{--c:var(--red)}.modified{--c:var(--amb)}.reverted{--c:var(--gry)}
.sign{color:var(--c);font-weight:700;margin-right:.4rem}
.item dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.1rem 1rem;margin:.45rem 0 0}
.item dt{color:var(--dim)}.item dd{margin:0;overflow-wrap:anywhere}
.item del{color:var(--red);text-decoration:none}.item ins{color:var(--grn);text-decoration:none}
pre{background:var(--code);border-radius:8px;padding:.7rem .9rem;margin:.6rem 0 0;overflow-x:auto;max-height:30rem}
pre i{font-style:normal;color:var(--dim)}pre ins{color:var(--grn);text-decoration:none}
pre del{color:var(--red);text-decoration:none}
.head{margin:0 0 1rem;padding:1rem 1.1rem}.head ul{margin:.6rem 0 0;padding-left:1.2rem}
.top{display:flex;flex-wrap:wrap;align-items:center;gap:.6rem}
@media (max-width:68rem){
th,td{padding:.55rem .45rem}td:nth-child(2){min-width:12.9rem}.why{min-width:10rem}
td[data-label=Image],td[data-label=Group]{min-width:5rem}td.changes{min-width:5.4rem}
}
@media (max-width:56rem){
thead{display:none}table,tbody,tr,td{display:block}
tr{padding:.75rem .9rem;border-bottom:1px solid var(--line)}tr:last-child{border-bottom:0}
td,td[data-label],td:nth-child(2){border:0;padding:.1rem 0;min-width:0;max-width:none}td:empty{display:none}
td[data-label]{display:flex;gap:.6rem}td[data-label]::before{content:attr(data-label);color:var(--dim);min-width:5rem}
.why{min-width:0;margin-top:.3rem}.tiles a{min-width:5.2rem;padding:.4rem .7rem}.tiles b{font-size:1.2rem}
}
"""
